using System;
using System.Collections.Generic;
using System.Net.Sockets;
using System.Text;
using System.Threading;

namespace Unbroken.Net
{
    /// <summary>
    /// Runs the sockets and the timer of one session or endpoint, in the background.
    ///
    /// One thread, the driver, carries out what the end asks for and wakes it when time is up. Each link has a thread that opens and reads it
    /// (Link.cs). All of them, and the application, use the end under one lock, the gate, which nobody holds across a system call that could
    /// wait. Reading threads are a choice: waiting for many sockets with Select allocates on each call, a thread that waits for one does not;
    /// a client has one link, two for moments.
    ///
    /// Sockets do not block. What one does not take waits with its link, and the end is told that the link is blocked. The driver tries again every
    /// few milliseconds, and at once when something comes from there, as an acknowledgement makes room; it never waits for such a socket, so that
    /// one peer who does not read delays nobody else. For the same reason it carries out a bounded number of outputs before it looks at the rest:
    /// under steady traffic of many peers there is always one more.
    /// </summary>
    internal sealed class SocketLoop : IDisposable
    {
        private const int RetryMs = 5;
        private const int LongestMs = 60000;
        /// <summary>How many outputs are carried out before events, timers and blocked links have their turn.</summary>
        private const int OutputsPerRound = 64;
        /// <summary>How long an end that is disposed may go on saying farewell, in microseconds: others may still be sending.</summary>
        private const ulong FarewellUs = 200000;
        private const int JoinMs = 1000;
        /// <summary>Events that wait for an application that does not pump; over it, news that are only for displays are forgotten: states, and
        /// handovers as a whole, never the end alone of one whose beginning is told.</summary>
        private const int MostEvents = 1024;

        /// <summary>Guards the end and all fields here.</summary>
        public readonly object Gate = new object();

        private readonly ILinkDriven end;
        private readonly Func<Link, string, ulong?, Socket> dial;
        private readonly Action also;
        private readonly ulong retryUs;
        private readonly Dictionary<ulong, Link> links = new Dictionary<ulong, Link>();
        /// <summary>Links with bytes that their socket did not take.</summary>
        private readonly List<Link> blocked = new List<Link>();
        private readonly byte[] buffer = new byte[64 << 10];
        private readonly Thread driver;
        private readonly Queue<SessionEvent> events = new Queue<SessionEvent>();
        /// <summary>Sessions of whose handover the beginning is told, or waits to be.</summary>
        private readonly HashSet<SessionId> inHandover = new HashSet<SessionId>();
        /// <summary>The driver is to end, after it has said farewell.</summary>
        private bool ending;
        private ulong endBy = ulong.MaxValue;
        /// <summary>The driver has ended; nobody may use the end any more.</summary>
        private bool disposed;
        private Exception failure;
        private long changes;

        /// <param name="end">What is driven; disposed with the loop.</param>
        /// <param name="dial">Opens a connection, on the link's thread: to an address, or to the configured one if it is null, bound to a
        /// network if one is given. Null if it fails.</param>
        /// <param name="also">What else the end asks for, if anything; in each of the driver's rounds, under the gate, when its events are taken.</param>
        /// <param name="retryMs">How often a blocked socket is tried again.</param>
        public SocketLoop(ILinkDriven end, Func<Link, string, ulong?, Socket> dial, Action also = null, int retryMs = RetryMs)
        {
            this.end = end;
            this.dial = dial;
            this.also = also;
            retryUs = (ulong)retryMs * 1000;
            driver = new Thread(Drive, 256 << 10) { IsBackground = true, Name = "unbroken driver" };
        }

        /// <summary>Begins. Not done by the constructor, as from then on other threads call its owner.</summary>
        public void Start()
        {
            driver.Start();
        }

        /// <summary>Links that are open or being opened.</summary>
        public int Links
        {
            get { lock (Gate) { return links.Count; } }
        }

        public bool Disposed
        {
            get { lock (Gate) { return ending; } }
        }

        /// <summary>The driver's thread runs.</summary>
        internal bool Driving { get { return driver.IsAlive; } }

        /// <summary>Rises with everything that may matter to the application.</summary>
        public long Changes
        {
            get { lock (Gate) { return changes; } }
        }

        /// <summary>Under the gate: the end was used, the driver must look.</summary>
        public void Changed()
        {
            changes++;
            Monitor.PulseAll(Gate);
        }

        /// <summary>Under the gate: events wait for the application.</summary>
        public bool EventsWait { get { return events.Count > 0; } }

        /// <summary>The next event for the application.</summary>
        public bool NextEvent(out SessionEvent happened)
        {
            lock (Gate)
            {
                if (events.Count == 0 && !ending)
                {
                    // The driver may be busy with outputs.
                    TakeEvents();
                }
                bool any = events.Count > 0 && !ending;
                happened = any ? events.Dequeue() : default(SessionEvent);
                return any;
            }
        }

        /// <summary>Waits until something changed since <paramref name="seen"/>. False after that many milliseconds without; a negative number
        /// waits for as long as it takes.</summary>
        public bool Wait(long seen, int milliseconds)
        {
            ulong until = milliseconds < 0 ? ulong.MaxValue : Clock.Now + (ulong)milliseconds * 1000;
            lock (Gate)
            {
                while (changes == seen && !ending)
                {
                    ulong now = Clock.Now;
                    if (now >= until)
                    {
                        return false;
                    }
                    Monitor.Wait(Gate, (int)Math.Min((until - now) / 1000 + 1, LongestMs));
                }
                return true;
            }
        }

        /// <summary>Throws what broke a background thread, if anything did: a bug, or a library that was replaced under the program.</summary>
        public void ThrowFailure()
        {
            lock (Gate)
            {
                if (failure != null)
                {
                    throw new InvalidOperationException("a background thread failed: " + failure.Message, failure);
                }
            }
        }

        /// <summary>A connection was accepted; from now on it is a link. False if nobody wants it any more.</summary>
        public bool Adopt(ulong id, Socket accepted)
        {
            return Begin(id, link => accepted);
        }

        /// <summary>Ends all connections at once, without a word to anybody.</summary>
        public int CutLinks()
        {
            lock (Gate)
            {
                int cut = 0;
                foreach (Link link in links.Values)
                {
                    cut += link.Socket != null ? 1 : 0;
                    link.Cut();
                }
                return cut;
            }
        }

        /// <summary>Sends what can be sent at once, ends all threads and frees the end. Waits a second at most, for name look-ups that cannot be
        /// interrupted: their threads end by themselves.</summary>
        public void Dispose()
        {
            lock (Gate)
            {
                if (ending)
                {
                    return;
                }
                ending = true;
                endBy = Clock.Now + FarewellUs;
                Changed();
            }
            ulong until = Clock.Now + JoinMs * 1000;
            driver.Join(JoinMs);
            var left = new List<Link>();
            lock (Gate)
            {
                disposed = true;
                left.AddRange(links.Values);
                foreach (Link link in left)
                {
                    link.Ended = true;
                    link.Shutdown(SocketShutdown.Both);
                }
            }
            foreach (Link link in left)
            {
                ulong now = Clock.Now;
                link.Join(now < until ? (int)((until - now) / 1000) : 0);
            }
            lock (Gate)
            {
                end.Dispose();
            }
        }

        // ---- the driver ----

        private void Drive()
        {
            try
            {
                lock (Gate)
                {
                    for (bool last = false; !last;)
                    {
                        bool leaving = ending;
                        end.HandleTimeout(Clock.Now);
                        FlushBlocked();
                        bool more = CarryOut();
                        TakeEvents();
                        if (also != null)
                        {
                            also();
                        }
                        last = leaving && (!more || Clock.Now >= endBy);
                        if (!more && !ending)
                        {
                            Rest();
                        }
                        else if (!last)
                        {
                            // Who wants the gate gets it: it goes to whoever is quick.
                            Monitor.Exit(Gate);
                            Thread.Sleep(0);
                            Monitor.Enter(Gate);
                        }
                    }
                }
            }
            catch (ThreadAbortException)
            {
                // The Unity editor unloads its scripts.
            }
            catch (Exception fault)
            {
                Fail(fault);
            }
        }

        /// <summary>Until time is up, or a blocked socket is to be tried again, or somebody uses the end. Lets others in, in any case.</summary>
        private void Rest()
        {
            ulong deadline = end.PollTimeout(), now = Clock.Now;
            foreach (Link link in blocked)
            {
                deadline = Math.Min(deadline, link.RetryAt);
            }
            Monitor.Wait(Gate, deadline <= now ? 0 : (int)Math.Min((deadline - now) / 1000 + 1, LongestMs));
        }

        /// <summary>Some of what the end asks for now; true if there may be more. It asks anew after each write, for which the gate is opened.</summary>
        private bool CarryOut()
        {
            for (int i = 0; i < OutputsPerRound; i++)
            {
                SessionOutput output;
                if (!end.PollOutput(buffer, Clock.Now, out output))
                {
                    return false;
                }
                Link link;
                links.TryGetValue(output.Link, out link);
                switch (output.Kind)
                {
                    case OutputKind.OpenLink:
                        Open(ref output);
                        break;
                    case OutputKind.Send:
                        if (link != null && link.Socket != null)
                        {
                            Write(link, output.Length);
                        }
                        break;
                    case OutputKind.CloseLink:
                        if (link != null)
                        {
                            Close(link);
                        }
                        break;
                }
            }
            return true;
        }

        /// <summary>Under the gate. An end whose events wait wants to be asked at once; so they wait here.</summary>
        public void TakeEvents()
        {
            SessionEvent happened;
            while (end.PollEvent(out happened))
            {
                if (IsKept(ref happened))
                {
                    events.Enqueue(happened);
                    Changed();
                }
            }
        }

        private bool IsKept(ref SessionEvent happened)
        {
            bool room = events.Count < MostEvents;
            switch (happened.Kind)
            {
                case EventKind.State:
                    return room;
                case EventKind.HandoverBegin:
                    if (room)
                    {
                        inHandover.Add(happened.Session);
                    }
                    return room;
                case EventKind.HandoverEnd:
                    return inHandover.Remove(happened.Session);
                case EventKind.HandoverFailed:
                case EventKind.Closed:
                case EventKind.SwappedOut:
                    inHandover.Remove(happened.Session);
                    return true;
                default:
                    return true;
            }
        }

        private void Open(ref SessionOutput output)
        {
            string address = output.Length > 0 ? Encoding.UTF8.GetString(buffer, 0, output.Length) : null;
            ulong? network = output.Network;
            if (!Begin(output.Link, link => dial(link, address, network)) && !ending)
            {
                end.HandleLinkDown(output.Link, Clock.Now);
            }
        }

        /// <summary>False if the loop has ended, or the system gives no more threads.</summary>
        private bool Begin(ulong id, Func<Link, Socket> open)
        {
            lock (Gate)
            {
                if (ending)
                {
                    return false;
                }
                var link = new Link(this, id, open);
                links.Add(id, link);
                if (!link.TryStart())
                {
                    links.Remove(id);
                    return false;
                }
                return true;
            }
        }

        /// <summary>Under the gate, which is open during the write: only the driver writes, so the order stays.</summary>
        private void Write(Link link, int length)
        {
            Socket to = link.Socket;
            int sent;
            Monitor.Exit(Gate);
            try
            {
                sent = Link.Send(to, buffer, 0, length);
            }
            finally
            {
                Monitor.Enter(Gate);
            }
            if (sent < length && !link.Ended)
            {
                link.Keep(buffer, sent, length - sent);
                link.RetryAt = Clock.Now + retryUs;
                blocked.Add(link);
                end.HandleLinkBlocked(link.Id);
            }
        }

        private void FlushBlocked()
        {
            ulong now = Clock.Now;
            for (int i = blocked.Count - 1; i >= 0; i--)
            {
                Link link = blocked[i];
                if (link.RetryAt > now)
                {
                    continue;
                }
                link.RetryAt = now + retryUs;
                if (!link.Flush())
                {
                    continue;
                }
                blocked.RemoveAt(i);
                if (link.Ended)
                {
                    link.Shutdown(SocketShutdown.Send);
                }
                else
                {
                    end.HandleLinkWritable(link.Id);
                }
            }
        }

        /// <summary>The end lets go of a link: after what waits has left, a FIN.</summary>
        private static void Close(Link link)
        {
            link.Ended = true;
            link.Linger();
            if (!link.Blocked)
            {
                link.Shutdown(SocketShutdown.Send);
            }
        }

        // ---- the links' threads ----

        /// <summary>A link's socket is there, or could not be had. True if the link is to read.</summary>
        public bool Opened(Link link, Socket opened)
        {
            lock (Gate)
            {
                if (opened == null || link.Ended || disposed)
                {
                    return false;
                }
                link.Attach(opened);
                end.HandleLinkUp(link.Id, Clock.Now);
                Changed();
                return true;
            }
        }

        public void Input(Link link, byte[] bytes, int count)
        {
            lock (Gate)
            {
                if (!link.Ended)
                {
                    end.HandleInput(link.Id, new ReadOnlySpan<byte>(bytes, 0, count), Clock.Now);
                    link.RetryAt = 0;
                    Changed();
                }
            }
        }

        /// <summary>Before the socket is closed: nobody uses it after this.</summary>
        public void Down(Link link)
        {
            lock (Gate)
            {
                blocked.Remove(link);
                link.Detach();
                if (!link.Ended)
                {
                    link.Ended = true;
                    end.HandleLinkDown(link.Id, Clock.Now);
                }
                Changed();
            }
        }

        public void Gone(Link link)
        {
            lock (Gate)
            {
                links.Remove(link.Id);
                Changed();
            }
        }

        /// <summary>A thread cannot go on. The application learns it from its next pump.</summary>
        public void Fail(Exception fault)
        {
            lock (Gate)
            {
                failure = failure ?? fault;
                Changed();
            }
        }
    }
}
