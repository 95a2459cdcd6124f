using System;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using Unbroken.Net;

namespace Unbroken
{
    /// <summary>Takes a message. The bytes are valid until the handler returns.</summary>
    public delegate void MessageHandler(ReadOnlySpan<byte> message, long number);

    /// <summary>
    /// A session over TCP that survives its connections.
    ///
    /// Background threads do the input and output; the application hears of it in <see cref="Pump"/> and only there, on the thread that calls it:
    /// in Unity, UnbrokenBehaviour does so in each frame. Sending, and everything else, works from any thread and never waits for the network.
    /// A game that does not pump for a while loses nothing: the peer is held back.
    /// </summary>
    public sealed partial class UnbrokenClient : IDisposable
    {
        private readonly UnbrokenSession session;
        private readonly SocketLoop loop;
        private readonly object gate;
        private readonly string host;
        private readonly int port;
        private readonly ClientSettings settings;
        private byte[] received = new byte[4096];
        private bool pumping;
        /// <summary>The end of the session, while its last messages are delivered: if a handler throws, the next pump goes on from there.</summary>
        private SessionEvent? over;
        private long seen;

        /// <summary>A reliable or unreliable message. While nobody listens here, messages wait for <see cref="TryReceive"/> and
        /// <see cref="ReceiveAsync"/>.</summary>
        public event MessageHandler MessageReceived;
        /// <summary>The session stands; the data is the server's welcome.</summary>
        public event Action<SessionEvent> Established;
        /// <summary>The server did not let us in; <see cref="Closed"/> follows.</summary>
        public event Action<SessionEvent> Refused;
        /// <summary>The connection failed or is being replaced. Messages wait, nothing is lost.</summary>
        public event Action<SessionEvent> HandoverBegan;
        /// <summary>The session runs again.</summary>
        public event Action<SessionEvent> HandoverEnded;
        /// <summary>The session could not be carried on. After <see cref="HandoverFailure.GaveUp"/> and
        /// <see cref="HandoverFailure.VersionMismatch"/> <see cref="Retry"/> may be called.</summary>
        public event Action<SessionEvent> HandoverFailed;
        /// <summary>There is room again after a send that would have blocked.</summary>
        public event Action<SessionEvent> Writable;
        /// <summary>The server asks to move elsewhere; the session does so by itself.</summary>
        public event Action<SessionEvent> Draining;
        /// <summary>The state changed; for displays.</summary>
        public event Action<SessionEvent> StateChanged;
        /// <summary>The session is over. Comes once, after all messages.</summary>
        public event Action<SessionEvent> Closed;

        /// <summary>How many messages one <see cref="Pump"/> delivers at most, so that a flood does not stop the game.</summary>
        public int MessagesPerPump = 4096;

        /// <summary>Begins to connect; the first thing to hear is <see cref="Established"/>, <see cref="Refused"/> or
        /// <see cref="HandoverFailed"/>.</summary>
        /// <param name="host">A name, an IPv4 or an IPv6 address.</param>
        /// <param name="port">TCP port.</param>
        /// <param name="settings">Not to be changed afterwards.</param>
        /// <exception cref="UnbrokenException">A setting cannot be used; the message names it.</exception>
        /// <exception cref="ArgumentException">There is no host, the port is none, or a key is not of 32 bytes.</exception>
        /// <exception cref="DllNotFoundException">The native library is not there for this platform.</exception>
        public UnbrokenClient(string host, int port, ClientSettings settings)
        {
            if (string.IsNullOrEmpty(host) || port <= 0 || port > ushort.MaxValue)
            {
                throw new ArgumentException("a server is a host and a port from 1 to 65535");
            }
            this.host = host;
            this.port = port;
            this.settings = settings;
            session = new UnbrokenSession(settings, Clock.Now);
            loop = new SocketLoop(session, Dial);
            gate = loop.Gate;
            loop.Start();
            LiveObjects.Add(this);
        }

        /// <summary>Ends the connections and the threads; waits a second at most. A farewell that was said with <see cref="Disconnect"/> is sent if that is
        /// possible at once; to be sure, await <see cref="DisconnectAsync"/> before. Without one the server keeps the session until it expires. Afterwards
        /// <see cref="Pump"/> and <see cref="TryReceive"/> find nothing, and sending throws
        /// <see cref="ObjectDisposedException"/>.</summary>
        public void Dispose()
        {
            LiveObjects.Remove(this);
            loop.Dispose();
            CancelAll();
        }

        // ---- sending ----

        /// <summary>Takes a reliable message: it is delivered once and in order while the session lives, whatever happens to connections.
        /// <see cref="Status.Ok"/>, or why it was not taken: <see cref="Status.ErrWouldBlock"/>, <see cref="Status.ErrTooLarge"/>,
        /// <see cref="Status.ErrClosed"/>. Allocates nothing.</summary>
        public Status TrySend(ReadOnlySpan<byte> message)
        {
            lock (gate)
            {
                // Those who wait for room are earlier.
                Status status = senders.Count > 0 ? Status.ErrWouldBlock : session.TrySend(message);
                Told(status);
                return status;
            }
        }

        /// <summary>As <see cref="TrySend"/>, for those who cannot go on without.</summary>
        /// <exception cref="UnbrokenException">The message was not taken.</exception>
        public void Send(ReadOnlySpan<byte> message)
        {
            UnbrokenException.Check((int)TrySend(message));
        }

        /// <summary>Takes a message that may be lost, but is never doubled: at most 16,320 bytes. Also <see cref="Status.ErrNoLink"/> and
        /// <see cref="Status.ErrFull"/>. Allocates nothing.</summary>
        public Status TrySendUnreliable(ReadOnlySpan<byte> message)
        {
            lock (gate)
            {
                Status status = session.TrySendUnreliable(message);
                Told(status);
                return status;
            }
        }

        private void Told(Status status)
        {
            if (status == Status.Ok)
            {
                loop.Changed();
            }
        }

        // ---- receiving ----

        /// <summary>Tells the application what happened since the last call: events first, then messages. Exceptions of handlers come out here; what
        /// was not told yet is told by the next call. Without events, nothing is allocated.</summary>
        public void Pump()
        {
            if (pumping)
            {
                throw new InvalidOperationException("Pump was called by a handler that Pump had called");
            }
            loop.ThrowFailure();
            pumping = true;
            try
            {
                seen = loop.Changes;
                SessionEvent happened;
                while (NextEvent(out happened))
                {
                    if (happened.Kind == EventKind.Closed)
                    {
                        over = happened;
                        Deliver(int.MaxValue);
                        over = null;
                        if (loop.Disposed)
                        {
                            // By a handler of its last messages.
                            return;
                        }
                    }
                    Raise(ref happened);
                }
                Deliver(MessagesPerPump);
            }
            finally
            {
                pumping = false;
            }
        }

        private bool NextEvent(out SessionEvent happened)
        {
            happened = over.GetValueOrDefault();
            return over.HasValue ? !loop.Disposed : loop.NextEvent(out happened);
        }

        /// <summary>Waits until there may be something to pump; false after so many milliseconds without, a negative number waits for as long as it
        /// takes. For programs without frames.</summary>
        public bool Wait(int milliseconds)
        {
            return loop.Wait(seen, milliseconds);
        }

        /// <summary>The next message, if one is there; dispose it after use.</summary>
        public bool TryReceive(out UnbrokenMessage message)
        {
            lock (gate)
            {
                ReadOnlySpan<byte> lent;
                long number;
                message = default(UnbrokenMessage);
                if (loop.Disposed || !session.TryReceive(out lent, out number))
                {
                    return false;
                }
                message = UnbrokenMessage.Copy(lent, number);
                loop.Changed();
                return true;
            }
        }

        private void Deliver(int most)
        {
            ServeReceivers();
            int length;
            long number;
            for (int i = 0; i < most && MessageReceived != null && Next(out length, out number); i++)
            {
                MessageReceived(new ReadOnlySpan<byte>(received, 0, length), number);
            }
        }

        /// <summary>Copies the next message out of the library: a handler may call anything.</summary>
        private bool Next(out int length, out long number)
        {
            lock (gate)
            {
                ReadOnlySpan<byte> lent;
                length = 0;
                number = -1;
                if (loop.Disposed || !session.TryReceive(out lent, out number))
                {
                    return false;
                }
                length = lent.Length;
                if (received.Length < length)
                {
                    received = new byte[Math.Max(length, received.Length * 2)];
                }
                lent.CopyTo(received);
                loop.Changed();
                return true;
            }
        }

        private void Raise(ref SessionEvent happened)
        {
            Settle(ref happened);
            Action<SessionEvent> handler = HandlerOf(happened.Kind);
            if (handler != null)
            {
                handler(happened);
            }
        }

        private Action<SessionEvent> HandlerOf(EventKind kind)
        {
            switch (kind)
            {
                case EventKind.State: return StateChanged;
                case EventKind.Established: return Established;
                case EventKind.Refused: return Refused;
                case EventKind.HandoverBegin: return HandoverBegan;
                case EventKind.HandoverEnd: return HandoverEnded;
                case EventKind.HandoverFailed: return HandoverFailed;
                case EventKind.Writable: return Writable;
                case EventKind.Draining: return Draining;
                case EventKind.Closed: return Closed;
                default: return null;
            }
        }

        // ---- the session's life ----

        /// <summary>Ends the session for good, after what was sent; <see cref="Closed"/> tells when it is done, after 2 s at most. It never reconnects: without
        /// a connection it is over at once, and the server keeps the session until it expires.</summary>
        /// <param name="code">The application's, for the server.</param>
        public void Disconnect(uint code)
        {
            lock (gate)
            {
                session.Disconnect(code);
                loop.Changed();
            }
        }

        /// <summary>Tries again after <see cref="HandoverFailure.GaveUp"/> or <see cref="HandoverFailure.VersionMismatch"/>.</summary>
        public void Retry()
        {
            lock (gate)
            {
                session.Retry(Clock.Now);
                WaitAnew();
                loop.Changed();
            }
        }

        /// <summary>The program will be frozen, or must be quiet: no probes and no dialling until <see cref="Wake"/>.</summary>
        public void Suspend()
        {
            ReportNetwork(NetworkEvent.Suspend, 0);
        }

        /// <summary>The program runs again.</summary>
        public void Wake()
        {
            ReportNetwork(NetworkEvent.Wake, 0);
        }

        /// <summary>A hint about a network of the device. The number is the caller's name for it; the latest one reported available is the wanted
        /// one.</summary>
        public void ReportNetwork(NetworkEvent what, ulong network)
        {
            lock (gate)
            {
                session.HandleNetwork(what, network, Clock.Now);
                loop.Changed();
            }
        }

        /// <summary>Breaks all connections at once, as a dying network does, for demonstrations and tests. How many there were.</summary>
        public int CutLinks()
        {
            return loop.CutLinks();
        }

        // ---- how it stands ----

        /// <summary>Where the session stands.</summary>
        public SessionState State
        {
            get { lock (gate) { return session.State; } }
        }

        /// <summary>The session's id; null until the server gave it.</summary>
        public SessionId? Id
        {
            get { lock (gate) { return session.Id; } }
        }

        /// <summary>The number of the first message that the server has not acknowledged.</summary>
        public ulong Acked
        {
            get { lock (gate) { return session.Acked; } }
        }

        /// <summary>What carries the session now. A link that becomes suspect, or is lost, also begins a handover, of which <see cref="HandoverBegan"/>
        /// tells.</summary>
        public LinkHealth LinkHealth
        {
            get { lock (gate) { return session.LinkHealth; } }
        }

        /// <summary>Counters.</summary>
        public Stats Stats
        {
            get { lock (gate) { return session.Stats; } }
        }

        /// <summary>Connections that are open or being opened: usually one, two while a handover runs.</summary>
        public int Links { get { return loop.Links; } }

        /// <summary>On a link's own thread.</summary>
        private Socket Dial(Link link, string advised, ulong? network)
        {
            string to = host;
            int at = port;
            if (advised != null && !Dialler.TrySplit(advised, out to, out at))
            {
                return null;
            }
            IPAddress local = network.HasValue && settings.LocalAddressOf != null ? settings.LocalAddressOf(network.Value) : null;
            return new Dialler(settings.ConnectTimeout, settings.SendBuffer, () => Volatile.Read(ref link.Ended)).Connect(to, at, local);
        }
    }
}
