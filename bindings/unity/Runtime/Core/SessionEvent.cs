using System;

namespace Unbroken
{
    /// <summary>Something that the application should know. What its kind does not mention is zero.</summary>
    public struct SessionEvent
    {
        private static readonly byte[] Nothing = new byte[0];

        private Native.Event native;

        internal SessionEvent(ref Native.Event native, byte[] data)
        {
            this.native = native;
            Data = data ?? (Carries(ref native) ? Nothing : null);
        }

        /// <summary>Data comes with it, be it of 0 bytes.</summary>
        private static bool Carries(ref Native.Event native)
        {
            switch ((EventKind)native.Kind)
            {
                case EventKind.Established:
                case EventKind.Authorise:
                case EventKind.Refused:
                    return true;
                case EventKind.Restored:
                    return native.HasApp != 0;
                default:
                    return false;
            }
        }

        /// <summary>What happened.</summary>
        public EventKind Kind { get { return (EventKind)native.Kind; } }

        /// <summary><see cref="EventKind.State"/>: the state now.</summary>
        public SessionState State { get { return (SessionState)native.State; } }

        /// <summary><see cref="EventKind.HandoverBegin"/>: why.</summary>
        public HandoverCause Cause { get { return (HandoverCause)native.Cause; } }

        /// <summary><see cref="EventKind.HandoverFailed"/>: why.</summary>
        public HandoverFailure Failure { get { return (HandoverFailure)native.Fail; } }

        /// <summary><see cref="EventKind.Closed"/>: why.</summary>
        public CloseReason Reason { get { return (CloseReason)native.Close; } }

        /// <summary><see cref="EventKind.Refused"/>, <see cref="EventKind.Closed"/>: the application's code, for the reasons that have
        /// one.</summary>
        public uint Code { get { return native.Code; } }

        /// <summary>From a server: whose event it is. From a client: <see cref="EventKind.Established"/>.</summary>
        public unsafe SessionId Session
        {
            get
            {
                fixed (byte* bytes = native.Session)
                {
                    return SessionId.From(bytes);
                }
            }
        }

        /// <summary><see cref="EventKind.HandoverEnd"/>: from the moment the old link stopped carrying until the new one was up. Zero when the
        /// new link stood before.</summary>
        public TimeSpan Downtime { get { return Microseconds(native.DowntimeUs); } }

        /// <summary><see cref="EventKind.HandoverEnd"/>: messages sent again, because the old link may have swallowed them.</summary>
        public ulong ReplayedMessages { get { return native.ReplayedMessages; } }

        /// <summary><see cref="EventKind.HandoverEnd"/>: their payload, in bytes.</summary>
        public ulong ReplayedBytes { get { return native.ReplayedBytes; } }

        /// <summary><see cref="EventKind.HandoverFailed"/>: the number of the first message that was never acknowledged; all before it have been
        /// delivered.</summary>
        public ulong Acked { get { return native.Acked; } }

        /// <summary><see cref="EventKind.Draining"/>: the time over which clients spread.</summary>
        public TimeSpan Window { get { return Microseconds(native.WindowUs); } }

        /// <summary><see cref="EventKind.HandoverEnd"/>: the same server process answered.</summary>
        public bool SameServer { get { return native.SameServer != 0; } }

        /// <summary><see cref="EventKind.Closed"/>: the end of the peer's messages is missing.</summary>
        public bool Truncated { get { return native.Truncated != 0; } }

        /// <summary><see cref="EventKind.Established"/>, <see cref="EventKind.Authorise"/>, <see cref="EventKind.Refused"/>, <see cref="EventKind.Restored"/>:
        /// what came with it, which may be of 0 bytes; null otherwise, and if a restored session has no state.</summary>
        public byte[] Data { get; private set; }

        private static TimeSpan Microseconds(ulong us)
        {
            return TimeSpan.FromTicks((long)Math.Min(us, long.MaxValue / 10) * 10);
        }
    }

    /// <summary>One thing for the host to do, from <see cref="UnbrokenSession.PollOutput"/>.</summary>
    public struct SessionOutput
    {
        /// <summary>What.</summary>
        public OutputKind Kind;
        /// <summary>To which link.</summary>
        public ulong Link;
        /// <summary><see cref="OutputKind.Send"/>: how many bytes of the buffer to write. <see cref="OutputKind.OpenLink"/>: the length of the
        /// address in the buffer, `host:port` in UTF-8; 0: to the configured address.</summary>
        public int Length;
        /// <summary><see cref="OutputKind.OpenLink"/>: the network to bind to, if the platform can; null leaves it to the system.</summary>
        public ulong? Network;

        internal SessionOutput(ref Native.Output native)
        {
            Kind = (OutputKind)native.Kind;
            Link = native.Link;
            Length = (int)native.Len;
            Network = native.HasNetwork != 0 ? native.Network : (ulong?)null;
        }
    }
}
