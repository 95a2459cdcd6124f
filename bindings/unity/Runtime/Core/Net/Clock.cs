using System.Diagnostics;

namespace Unbroken.Net
{
    /// <summary>Microseconds on a clock that does not run backwards. It may stand still while a device sleeps; that is what
    /// <see cref="NetworkEvent.Wake"/> is for.</summary>
    internal static class Clock
    {
        private static readonly double PerTick = 1e6 / Stopwatch.Frequency;

        public static ulong Now
        {
            get { return (ulong)(Stopwatch.GetTimestamp() * PerTick); }
        }
    }
}
