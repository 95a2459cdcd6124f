using System;
using System.Collections.Generic;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using Unbroken.Net;

namespace Unbroken
{
    /// <summary>Takes a message of a client. The bytes are valid until the handler returns.</summary>
    public delegate void PeerMessageHandler(ServerPeer peer, ReadOnlySpan<byte> message, long number);

    /// <summary>Judges a client by its credential; null for a resume.</summary>
    public delegate Verdict AuthoriseHandler(ServerPeer peer, byte[] credential);

    /// <summary>
    /// Many sessions over TCP, for a dedicated game server in C#. They live in this process's memory and end with it, or go on after a restart if there is a
    /// <see cref="ServerSettings.Store"/> (UnbrokenServerStore.cs).
    ///
    /// As with <see cref="UnbrokenClient"/>, background threads do the input and output, and the application hears of it in
    /// <see cref="Pump"/> alone. Each connection holds a thread, which suits some hundreds of players; for more, use the Rust server.
    ///
    /// Peers with messages stand in a line. Whoever is first is given a few, and goes to the end of the line if there are more; what happened meanwhile
    /// is told before the next one's turn. So neither events nor anybody's messages wait for one who talks all the time.
    /// </summary>
    public sealed partial class UnbrokenServer : IDisposable
    {
        /// <summary>The code with which a client is refused whose judge has thrown an exception.</summary>
        public const uint HandlerFailed = uint.MaxValue;

        /// <summary>Messages of one peer before the next has its turn.</summary>
        private const int Turn = 32;

        private readonly UnbrokenEndpoint endpoint;
        private readonly SocketLoop loop;
        private readonly object gate;
        private readonly Listener listener;
        private readonly int maxConnections;
        private readonly Dictionary<SessionId, ServerPeer> peers = new Dictionary<SessionId, ServerPeer>();
        /// <summary>Peers with messages; under the gate.</summary>
        private readonly Queue<ServerPeer> line = new Queue<ServerPeer>();
        private byte[] received = new byte[4096];
        private ulong links;
        private bool pumping;
        /// <summary>The end of a session, while its last messages are delivered: if a handler throws, the next pump goes on from there.</summary>
        private SessionEvent? over;
        private long seen;

        /// <summary>Judges clients that ask to be let in. Without it, all are refused, unless <see cref="ServerSettings.AuthoriseAll"/>.</summary>
        public AuthoriseHandler Authorise;
        /// <summary>Judges resumes, if <see cref="ServerSettings.AskOnResume"/>. Without it, all are accepted.</summary>
        public AuthoriseHandler AuthoriseResume;
        /// <summary>A message of a client.</summary>
        public event PeerMessageHandler MessageReceived;
        /// <summary>A client's session stands.</summary>
        public event Action<ServerPeer> Joined;
        /// <summary>A client's session is over. Comes once for each that joined, after all its messages.</summary>
        public event Action<ServerPeer, SessionEvent> Left;
        /// <summary>There is room again for messages to a client.</summary>
        public event Action<ServerPeer> Writable;
        /// <summary>A client's session is handed over from one connection to another: began, ended, failed.</summary>
        public event Action<ServerPeer, SessionEvent> Handover;

        /// <summary>How many messages a <see cref="Pump"/> delivers at most, of all clients together, so that a flood does not stop the game. The last messages of
        /// sessions that have ended come on top.</summary>
        public int MessagesPerPump = 4096;

        /// <summary>Listens. Port 0 takes any; IPv6Any takes IPv4, too.</summary>
        /// <exception cref="SocketException">The port cannot be had.</exception>
        /// <exception cref="UnbrokenException">A setting cannot be used; the message names it.</exception>
        /// <exception cref="ArgumentException">A key is not of 32 bytes.</exception>
        /// <exception cref="DllNotFoundException">The native library is not there for this platform.</exception>
        public UnbrokenServer(ServerSettings settings, IPEndPoint at)
        {
            maxConnections = settings.MaxConnections;
            store = settings.Store;
            durable = store != null && settings.Durability == Durability.Durable;
            endpoint = new UnbrokenEndpoint(settings, Clock.Now, store == null ? Durability.Memory : settings.Durability);
            owner = store == null ? Guid.Empty : endpoint.Owner;
            loop = new SocketLoop(endpoint, null, store == null ? (Action)null : AskStore);
            gate = loop.Gate;
            loop.Start();
            try
            {
                listener = new Listener(at, Accept);
            }
            catch (Exception)
            {
                loop.Dispose();
                throw;
            }
            LiveObjects.Add(this);
        }

        /// <summary>Where it listens.</summary>
        public IPEndPoint Address { get { return listener.Address; } }

        /// <summary>Sessions that are known to the application.</summary>
        public int Peers { get { return peers.Count; } }

        /// <summary>Connections now.</summary>
        public int Links { get { return loop.Links; } }

        /// <summary>Counters of all sessions.</summary>
        public Counters Counters
        {
            get { lock (gate) { return endpoint.Counters; } }
        }

        /// <summary>Ends the connections, the threads and, without a word to the clients, all sessions; see <see cref="Leave"/> for those that shall
        /// go on.</summary>
        public void Dispose()
        {
            LiveObjects.Remove(this);
            listener.Dispose();
            loop.Dispose();
            if (store != null)
            {
                store.Abandon(owner);
            }
        }

        /// <summary>Tells the application what happened since the last call, on this thread: events, then messages. Exceptions of handlers come out
        /// here; what was not told yet is told by the next call.</summary>
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
                TellAndSave();
            }
            finally
            {
                pumping = false;
            }
        }

        /// <summary>Waits until there may be something to pump; false after so many milliseconds without, a negative number waits for as long as it
        /// takes.</summary>
        public bool Wait(int milliseconds)
        {
            return loop.Wait(seen, milliseconds);
        }

        /// <summary>Waits and pumps until it is cancelled: the whole main loop of a server without frames.</summary>
        public void Run(CancellationToken until)
        {
            while (!until.IsCancellationRequested && !loop.Disposed)
            {
                Wait(100);
                Pump();
            }
        }

        /// <summary>Asks every client with a connection to reconnect within the window, each at a moment of its own.</summary>
        public void Drain(TimeSpan window, string address = "")
        {
            lock (gate)
            {
                endpoint.Drain(window, address);
                loop.Changed();
            }
        }

        /// <summary>
        /// Tells every client with a connection of 1 to 4 server keys to trust from now on, and for how many seconds each: the next key, before
        /// <see cref="ServerSettings.SecretKeys"/> begins to have it alone.
        /// </summary>
        /// <exception cref="UnbrokenException">Their number, or one of them, cannot be used.</exception>
        /// <exception cref="ArgumentException">A key is not of 32 bytes, or has no lifetime.</exception>
        public void AnnounceKeys(byte[][] publicKeys, uint[] lifetimesS)
        {
            lock (gate)
            {
                endpoint.AnnounceKeys(publicKeys, lifetimesS);
                loop.Changed();
            }
        }

        /// <summary>
        /// Puts a session out, connected or not, also one of which no <see cref="ServerPeer"/> is known: with a store it may be with another server that shares it,
        /// or swapped out. Its client sees <see cref="CloseReason.Kicked"/>, now or when it comes back. True if it was here; if not, what came of it is not told.
        /// </summary>
        public bool Kick(SessionId id, uint code)
        {
            lock (gate)
            {
                bool here = endpoint.KickAnywhere(id, code);
                loop.Changed();
                return here;
            }
        }

        /// <summary>Breaks all connections at once, for tests. How many there were.</summary>
        public int CutLinks()
        {
            return loop.CutLinks();
        }

        // ---- telling ----

        /// <summary>Though a handler throws, states are asked for: who makes it throw again and again would keep everybody's from being written.</summary>
        private void TellAndSave()
        {
            bool told = false;
            try
            {
                TellEvents();
                DeliverInTurn();
                told = true;
            }
            finally
            {
                try
                {
                    SaveStates();
                }
                catch (Exception) when (!told)
                {
                    // One exception can come out: the earlier one. This one's session is asked for again.
                }
            }
        }

        private void TellEvents()
        {
            SessionEvent happened;
            while (NextEvent(out happened))
            {
                Tell(ref happened);
            }
        }

        private bool NextEvent(out SessionEvent happened)
        {
            happened = over.GetValueOrDefault();
            return over.HasValue ? !loop.Disposed : loop.NextEvent(out happened);
        }

        private void Tell(ref SessionEvent happened)
        {
            ServerPeer peer = Of(happened.Session);
            switch (happened.Kind)
            {
                case EventKind.Authorise:
                    Judge(peer, Authorise, happened.Data, Verdict.Refuse(0));
                    break;
                case EventKind.ResumeRequest:
                    peer.AsksToResume = true;
                    Judge(peer, AuthoriseResume, null, Verdict.Accept());
                    break;
                case EventKind.Established:
                    peer.Joined = true;
                    Raise(Joined, peer);
                    break;
                case EventKind.Readable:
                    LineUp(peer);
                    break;
                case EventKind.Writable:
                    Raise(Writable, peer);
                    break;
                case EventKind.HandoverBegin:
                case EventKind.HandoverEnd:
                case EventKind.HandoverFailed:
                    Raise(Handover, peer, happened);
                    break;
                case EventKind.Restored:
                    peer.Joined = true;
                    Raise(Restored, peer, happened.Data);
                    break;
                case EventKind.SwappedOut:
                    Forget(peer);
                    Raise(SwappedOut, peer);
                    break;
                case EventKind.Closed:
                    over = happened;
                    Deliver(peer, int.MaxValue);
                    over = null;
                    Forget(peer);
                    // The last messages' handler may have disposed the server.
                    if (peer.Joined && !loop.Disposed)
                    {
                        Raise(Left, peer, happened);
                    }
                    break;
            }
        }

        private static void Raise(Action<ServerPeer> handler, ServerPeer peer)
        {
            if (handler != null)
            {
                handler(peer);
            }
        }

        private static void Raise<T>(Action<ServerPeer, T> handler, ServerPeer peer, T with)
        {
            if (handler != null)
            {
                handler(peer, with);
            }
        }

        /// <summary>A client whose judge fails is refused: nobody else would ever answer it.</summary>
        private void Judge(ServerPeer peer, AuthoriseHandler judge, byte[] credential, Verdict otherwise)
        {
            bool judged = false;
            try
            {
                Answer(peer, judge == null ? otherwise : judge(peer, credential));
                judged = true;
            }
            finally
            {
                if (!judged)
                {
                    Answer(peer, Verdict.Refuse(HandlerFailed));
                }
            }
        }

        private ServerPeer Of(SessionId id)
        {
            ServerPeer peer;
            if (!peers.TryGetValue(id, out peer))
            {
                peer = new ServerPeer(this, id);
                peers.Add(id, peer);
            }
            return peer;
        }

        private void Forget(ServerPeer peer)
        {
            peers.Remove(peer.Id);
            lock (gate) { peer.Gone = true; }
        }

        // ---- the line ----

        /// <summary>The library says once that messages wait, until all were taken: who is not finished stays in the line.</summary>
        internal void LineUp(ServerPeer peer)
        {
            lock (gate)
            {
                if (!peer.InLine && !peer.Gone)
                {
                    peer.InLine = true;
                    line.Enqueue(peer);
                }
                // The next pump is not to wait.
                loop.Changed();
            }
        }

        private ServerPeer NextInLine()
        {
            lock (gate)
            {
                while (line.Count > 0)
                {
                    ServerPeer peer = line.Dequeue();
                    peer.InLine = false;
                    if (!peer.Gone)
                    {
                        return peer;
                    }
                }
                return null;
            }
        }

        private void DeliverInTurn()
        {
            for (int left = MessagesPerPump; left > 0;)
            {
                ServerPeer peer = NextInLine();
                if (peer == null)
                {
                    return;
                }
                left -= Deliver(peer, Math.Min(left, Turn));
                TellEvents();
            }
        }

        /// <summary>How many messages there were.</summary>
        private int Deliver(ServerPeer peer, int most)
        {
            int count = 0, length;
            long number;
            bool more = true;
            try
            {
                // The last messages come before the end, whoever holds them: after it nobody lets go of them.
                while (count < most && (over.HasValue || !peer.Held) && (more = Next(peer.Id, out length, out number)))
                {
                    count++;
                    if (MessageReceived != null)
                    {
                        MessageReceived(peer, new ReadOnlySpan<byte>(received, 0, length), number);
                    }
                }
                return count;
            }
            finally
            {
                // Who is held comes back when it is let go.
                if (more && !peer.Held)
                {
                    LineUp(peer);
                }
            }
        }

        private bool Next(SessionId id, out int length, out long number)
        {
            lock (gate)
            {
                ReadOnlySpan<byte> lent;
                length = 0;
                number = -1;
                if (loop.Disposed || !endpoint.TryReceive(id, out lent, out number))
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

        // ---- for peers ----

        internal Status TrySend(SessionId id, ReadOnlySpan<byte> message)
        {
            lock (gate)
            {
                loop.Changed();
                return endpoint.TrySend(id, message);
            }
        }

        internal Status TrySendUnreliable(SessionId id, ReadOnlySpan<byte> message)
        {
            lock (gate)
            {
                loop.Changed();
                return endpoint.TrySendUnreliable(id, message);
            }
        }

        internal bool Answer(ServerPeer peer, Verdict verdict)
        {
            if (!verdict.Answered)
            {
                return true;
            }
            lock (gate)
            {
                if (loop.Disposed)
                {
                    return false;
                }
                loop.Changed();
                if (peer.AsksToResume)
                {
                    peer.AsksToResume = false;
                    return endpoint.AnswerResume(peer.Id, verdict.Accepted, verdict.Code);
                }
                peer.FirstState = verdict.State;
                return endpoint.Authorise(peer.Id, verdict.Accepted, verdict.Code, verdict.Message, verdict.State);
            }
        }

        internal void End(SessionId id, uint code, bool kick)
        {
            lock (gate)
            {
                if (kick)
                {
                    endpoint.Kick(id, code);
                }
                else
                {
                    endpoint.Close(id, code);
                }
                loop.Changed();
            }
        }

        internal SessionState StateOf(SessionId id)
        {
            lock (gate) { return endpoint.StateOf(id); }
        }

        internal Stats StatsOf(SessionId id)
        {
            lock (gate) { return endpoint.StatsOf(id); }
        }

        // ---- the listener's thread ----

        private void Accept(Socket accepted)
        {
            if (loop.Links >= maxConnections || !loop.Adopt(++links, accepted))
            {
                accepted.Close();
            }
        }
    }
}
