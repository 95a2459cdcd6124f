using System;

namespace Unbroken
{
    /// <summary>One client of an <see cref="UnbrokenServer"/>, however many connections its session takes. Usable from any thread.</summary>
    public sealed class ServerPeer
    {
        private readonly UnbrokenServer server;
        internal bool Joined;
        internal bool AsksToResume;
        /// <summary>Of the verdict: the application's state until it joins.</summary>
        internal byte[] FirstState;
        /// <summary>Under the server's gate: it stands in the line of those with messages.</summary>
        internal bool InLine;
        /// <summary>Under the gate, too: its session has ended or left. One that comes back has another peer, whose messages are not this one's.</summary>
        internal bool Gone;
        private volatile bool held;

        /// <summary>The session's id.</summary>
        public SessionId Id { get; private set; }

        /// <summary>Whatever the application wants to remember.</summary>
        public object Tag;

        internal ServerPeer(UnbrokenServer server, SessionId id)
        {
            this.server = server;
            Id = id;
        }

        /// <summary>Do not deliver messages of this client: soon it is held back. For when there is no room for an answer.
        /// When its session is over, what had come is delivered all the same, before <see cref="UnbrokenServer.Left"/>.</summary>
        public bool Held
        {
            get { return held; }
            set
            {
                held = value;
                if (!value)
                {
                    server.LineUp(this);
                }
            }
        }

        /// <summary>As <see cref="UnbrokenClient.TrySend"/>; <see cref="Status.ErrUnknownSession"/> when the session has ended or left, and
        /// <see cref="Status.ErrWouldBlock"/> while it leaves (<see cref="UnbrokenServer.Leave"/>).</summary>
        public Status TrySend(ReadOnlySpan<byte> message)
        {
            return server.TrySend(Id, message);
        }

        /// <summary>As <see cref="UnbrokenClient.TrySendUnreliable"/>; <see cref="Status.ErrUnknownSession"/> when the session has ended or left.</summary>
        public Status TrySendUnreliable(ReadOnlySpan<byte> message)
        {
            return server.TrySendUnreliable(Id, message);
        }

        /// <summary>Answers for <see cref="Verdict.Later"/>. False if the client does not wait for it any more.</summary>
        public bool Answer(Verdict verdict)
        {
            return server.Answer(this, verdict);
        }

        /// <summary>Ends the session for good, after what was sent: the client sees <see cref="CloseReason.Peer"/>. Nothing happens if it has ended.</summary>
        public void Close(uint code)
        {
            server.End(Id, code, false);
        }

        /// <summary>Puts the client out: it sees <see cref="CloseReason.Kicked"/>. Nothing happens if the session has ended or left;
        /// <see cref="UnbrokenServer.Kick"/> finds it elsewhere, too.</summary>
        public void Kick(uint code)
        {
            server.End(Id, code, true);
        }

        /// <summary>(<see cref="Durability.Durable"/>) The application's state for this session has changed otherwise than by a message: it is asked
        /// for and written like after one.</summary>
        public void Commit()
        {
            server.Commit(Id);
        }

        /// <summary>Where the session stands.</summary>
        public SessionState State { get { return server.StateOf(Id); } }

        /// <summary>Counters.</summary>
        public Stats Stats { get { return server.StatsOf(Id); } }
    }
}
