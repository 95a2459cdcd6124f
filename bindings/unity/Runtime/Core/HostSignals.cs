using System;

namespace Unbroken
{
    /// <summary>How a device reaches the Internet; the numbers of UnityEngine.NetworkReachability.</summary>
    public enum Reachability
    {
        /// <summary>Not at all.</summary>
        None = 0,
        /// <summary>Over a carrier's network.</summary>
        Carrier = 1,
        /// <summary>Over Wi-Fi or cable.</summary>
        LocalArea = 2,
    }

    /// <summary>
    /// What an engine says of the program and the device, turned into what a session wants to know. Without the engine, so that it can be tested.
    ///
    /// Pausing suspends and resuming wakes. A focus that comes back also wakes a suspended session, as some devices say only that. Frames that
    /// stopped for long without a word (a debugger, a sleeping laptop) are a wake, too: a false one costs a second connection for a moment.
    /// A change of reachability opens a second connection at once, before the first one is found dead.
    /// </summary>
    public sealed class HostSignals
    {
        /// <summary>Seconds without a frame after which the program must have slept.</summary>
        public const double Slept = 5;

        private readonly Action<NetworkEvent, ulong> report;
        private bool suspended;
        private Reachability? reachability;
        private double? lastFrame;

        /// <param name="report">Usually <see cref="UnbrokenClient.ReportNetwork"/>.</param>
        public HostSignals(Action<NetworkEvent, ulong> report)
        {
            this.report = report;
        }

        /// <summary>The program is paused, or goes on.</summary>
        public void Paused(bool paused)
        {
            if (paused != suspended)
            {
                suspended = paused;
                lastFrame = null;
                report(paused ? NetworkEvent.Suspend : NetworkEvent.Wake, 0);
            }
        }

        /// <summary>The program has the focus, or lost it. Losing it means nothing: a keyboard or a dialogue takes it, too.</summary>
        public void Focused(bool focused)
        {
            if (focused)
            {
                Paused(false);
            }
        }

        /// <summary>A frame began: the time in seconds on a clock that goes on while the device sleeps, and how the device is reachable.</summary>
        public void Frame(double seconds, Reachability now)
        {
            bool slept = lastFrame.HasValue && seconds - lastFrame.Value > Slept;
            lastFrame = seconds;
            if (slept && !suspended)
            {
                report(NetworkEvent.Wake, 0);
            }
            if (reachability.HasValue && now != reachability.Value)
            {
                report(
                    now == Reachability.None ? NetworkEvent.Lost : NetworkEvent.Changed,
                    (ulong)(now == Reachability.None ? reachability.Value : now));
            }
            reachability = now;
        }
    }
}
