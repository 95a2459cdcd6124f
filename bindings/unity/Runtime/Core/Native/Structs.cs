using System;
using System.Runtime.InteropServices;

namespace Unbroken
{
    // Laid out as in include/unbroken.h, and blittable: they cross the border without being converted. A test compares sizes and offsets.

    /// <summary>Bounds on memory and work, per session unless it says otherwise. Begin with <see cref="Default"/>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Limits
    {
        internal uint StructSize;
        /// <summary>Largest reliable message, in bytes: 1 KiB to 16 MiB, default 1 MiB. The smaller of both ends' values wins.</summary>
        public uint Message;
        /// <summary>Unacknowledged payload held for replay, in bytes: <see cref="Message"/> to 64 MiB, default 1 MiB.</summary>
        public uint UnackedBytes;
        /// <summary>Unacknowledged messages held for replay: 1 to 65,536, default 4,096.</summary>
        public uint UnackedMessages;
        /// <summary>Received payload not taken yet: <see cref="Message"/> to 64 MiB, default 1 MiB.</summary>
        public uint WindowBytes;
        /// <summary>Received messages not taken yet: 1 to 65,536, default 4,096.</summary>
        public uint WindowMessages;
        /// <summary>Payload of waiting unreliable messages, each way: 0 to 1 MiB, default 64 KiB.</summary>
        public uint UnreliableBytes;
        /// <summary>A handshake's longest step: 100 ms to 60 s, default 5 s.</summary>
        public uint HandshakeMs;
        /// <summary>(server) Links and sessions whose client has not proved its keys: 1 to 1,048,576, default 1,024.</summary>
        public uint PendingHandshakes;
        /// <summary>(server) Sessions: 1 to 16,777,216, default 1,048,576.</summary>
        public uint Sessions;
        /// <summary>(server) Life of a session without a link: 1 s to 24 h, default 30 s.</summary>
        public uint DetachedMs;
        /// <summary>(server) How long an ended session is remembered: 0 to 24 h, default 30 s.</summary>
        public uint TombstoneMs;
        /// <summary>(server) Ended sessions remembered: 0 to 16,777,216, default 65,536.</summary>
        public uint Tombstones;
        /// <summary>(server with a store) A sealed snapshot, in bytes: 64 KiB to 64 MiB, default 2 MiB. It holds the unacknowledged messages and the
        /// application's state: at least <see cref="UnackedBytes"/> and 64 KiB, or 16 KiB and 2 bytes for each of
        /// <see cref="UnackedMessages"/> if that is more.</summary>
        public uint Snapshot;

        /// <summary>The library's defaults.</summary>
        public static unsafe Limits Default
        {
            get
            {
                Native.Library.CompareVersions();
                Limits limits;
                UnbrokenException.Check(Native.Library.unbroken_limits_init(&limits, (UIntPtr)sizeof(Limits)));
                return limits;
            }
        }
    }

    /// <summary>When acknowledgements leave and when silence counts. Begin with <see cref="Default"/>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Timing
    {
        internal uint StructSize;
        /// <summary>An ACK leaves after this many delivered messages: 1 to 4,096, default 32.</summary>
        public uint AckMessages;
        /// <summary>... or this much delivered payload, in bytes: 1 to 1 MiB, default 64 KiB.</summary>
        public uint AckBytes;
        /// <summary>... or this long after the first of them: 0 to 500 ms, default 40 ms.</summary>
        public uint AckDelayMs;
        /// <summary>An idle link is probed by the client after this much silence: 1 s to 1 h, default 25 s. Both ends should have the same.</summary>
        public uint IdleProbeMs;
        /// <summary>A link that should answer and does not is given up after this long, or twice the time in which it becomes suspect: 500 ms to 5 min, default
        /// 5 s.</summary>
        public uint DeadAfterMs;
        /// <summary>(server with a store) After so long without a word a server counts as dead: 1 s to 5 min, default 6 s.</summary>
        public uint LeaseMs;

        /// <summary>The library's defaults.</summary>
        public static unsafe Timing Default
        {
            get
            {
                Native.Library.CompareVersions();
                Timing timing;
                UnbrokenException.Check(Native.Library.unbroken_timing_init(&timing, (UIntPtr)sizeof(Timing)));
                return timing;
            }
        }
    }

    /// <summary>How a client dials again. Begin with <see cref="Default"/>.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Backoff
    {
        internal uint StructSize;
        /// <summary>Upper bound of the first delay after a failure: 1 ms to 60 s, default 100 ms. It doubles each time.</summary>
        public uint BaseMs;
        /// <summary>The most it grows to: <see cref="BaseMs"/> to 1 h, default 5 s.</summary>
        public uint CapMs;
        /// <summary>Dialling in vain for this long ends in <see cref="HandoverFailure.GaveUp"/>: 1 s to 24 h, default 60 s.</summary>
        public uint GiveUpAfterMs;

        /// <summary>The library's defaults.</summary>
        public static unsafe Backoff Default
        {
            get
            {
                Native.Library.CompareVersions();
                Backoff backoff;
                UnbrokenException.Check(Native.Library.unbroken_backoff_init(&backoff, (UIntPtr)sizeof(Backoff)));
                return backoff;
            }
        }
    }

    /// <summary>What carries a session: while its link is suspect or lost, a second network is of use, and no handover for another reason needs one.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct LinkHealth
    {
        internal int health;
        internal int hasNetwork;
        internal ulong network;

        /// <summary>How the link stands.</summary>
        public LinkCondition Condition { get { return (LinkCondition)health; } }

        /// <summary>The network on which the link was opened, by the number it was reported with; null if that was the system's choice, or there is no
        /// link.</summary>
        public ulong? Network { get { return hasNetwork != 0 ? network : (ulong?)null; } }
    }

    /// <summary>Counters of one session: cumulative since it began, unless it says otherwise.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Stats
    {
        /// <summary>Reliable messages taken from the application.</summary>
        public ulong SentMessages;
        /// <summary>Their payload, in bytes.</summary>
        public ulong SentBytes;
        /// <summary>Reliable messages handed to the application.</summary>
        public ulong ReceivedMessages;
        /// <summary>Their payload, in bytes.</summary>
        public ulong ReceivedBytes;
        /// <summary>Bytes given to the host to write.</summary>
        public ulong WireSent;
        /// <summary>Bytes of valid records from the host.</summary>
        public ulong WireReceived;
        /// <summary>Links that reached agreed keys.</summary>
        public ulong Links;
        /// <summary>Handovers that ended well.</summary>
        public ulong Handovers;
        /// <summary>Messages sent again by them.</summary>
        public ulong ReplayedMessages;
        /// <summary>Their payload, in bytes.</summary>
        public ulong ReplayedBytes;
        /// <summary>How often a link became suspect.</summary>
        public ulong Suspicions;
        /// <summary>(client) Connections made ahead, because an answer was late.</summary>
        public ulong Spares;
        /// <summary>Now: messages sent and not acknowledged.</summary>
        public ulong UnackedMessages;
        /// <summary>Now: their payload, in bytes.</summary>
        public ulong UnackedBytes;
        /// <summary>Now: the smoothed round trip in microseconds; <see cref="ulong.MaxValue"/> if it was not measured.</summary>
        public ulong RttUs;
    }

    /// <summary>Counters of an endpoint: cumulative since it began, unless it says otherwise.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct Counters
    {
        /// <summary>Connections reported up.</summary>
        public ulong LinksAccepted;
        /// <summary>Connections that ended before a first flight was accepted.</summary>
        public ulong LinksRejected;
        /// <summary>First connects that made a session.</summary>
        public ulong Hellos;
        /// <summary>Resumes accepted.</summary>
        public ulong Resumes;
        /// <summary>Resumes for a session that is not here.</summary>
        public ulong ResumesUnknown;
        /// <summary>Resumes that are forged, or meant for other secrets.</summary>
        public ulong ResumesForged;
        /// <summary>Resumes replayed or late.</summary>
        public ulong ResumesStale;
        /// <summary>Resumes from an end that lost state.</summary>
        public ulong Rollbacks;
        /// <summary>Resumes that the application refused.</summary>
        public ulong Vetoes;
        /// <summary>Questions after a session that were answered.</summary>
        public ulong Queries;
        /// <summary>First flights refused because too many handshakes or sessions were open.</summary>
        public ulong RefusedBusy;
        /// <summary>Links ended by a record or frame that cannot be.</summary>
        public ulong BadRecords;
        /// <summary>Sessions that clients confirmed.</summary>
        public ulong SessionsOpened;
        /// <summary>Sessions that ended, for whatever reason.</summary>
        public ulong SessionsClosed;
        /// <summary>Of these, by the end of their life without a link.</summary>
        public ulong SessionsExpired;
        /// <summary>Sessions that lost their last link.</summary>
        public ulong Detached;
        /// <summary>Handovers that ended well.</summary>
        public ulong Handovers;
        /// <summary>Messages sent again by them.</summary>
        public ulong ReplayedMessages;
        /// <summary>Reliable messages taken from applications.</summary>
        public ulong SentMessages;
        /// <summary>Reliable messages handed to applications.</summary>
        public ulong ReceivedMessages;
        /// <summary>Now: sessions held.</summary>
        public ulong NowSessions;
        /// <summary>Now: of these, those without a link.</summary>
        public ulong NowDetached;
        /// <summary>Now: links, those still in their handshake included.</summary>
        public ulong NowLinks;
        /// <summary>Now: ended sessions remembered.</summary>
        public ulong NowTombstones;
        /// <summary>(with a store) Sessions taken over.</summary>
        public ulong Takeovers;
        /// <summary>(with a store) Sessions that left this process and live on.</summary>
        public ulong SwappedOut;
        /// <summary>(with a store) Of these, those that another server had taken already.</summary>
        public ulong Fenced;
        /// <summary>(with a store) Requests that the store did not carry out, or not in time.</summary>
        public ulong StoreFailures;
    }
}

namespace Unbroken.Native
{
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct ClientConfig
    {
        public uint StructSize;
        public uint PinCount;
        public byte* Pins;
        public byte* Realm;
        public UIntPtr RealmLen;
        public byte* Credential;
        public UIntPtr CredentialLen;
        public Limits* Limits;
        public Timing* Timing;
        public Backoff* Backoff;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct ServerConfig
    {
        public uint StructSize;
        public uint KeyCount;
        public byte* Keys;
        public byte* ClusterKey;
        public byte* Realm;
        public UIntPtr RealmLen;
        public byte* Address;
        public UIntPtr AddressLen;
        public Limits* Limits;
        public Timing* Timing;
        public byte AuthoriseAll;
        public byte AskOnResume;
        public ushort ShardIndex;
        public ushort ShardCount;
        public ushort Reserved;
        public int Durability;
        public uint OlderClusterCount;
        public byte* OlderClusterKeys;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct Output
    {
        public int Kind;
        public int HasNetwork;
        public ulong Link;
        public ulong Network;
        public ulong Len;
        public fixed ulong Reserved[2];
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct Event
    {
        public int Kind;
        public int State;
        public int Cause;
        public int Fail;
        public int Close;
        public uint Code;
        public fixed byte Session[16];
        public ulong DowntimeUs;
        public ulong ReplayedMessages;
        public ulong ReplayedBytes;
        public ulong Acked;
        public ulong WindowUs;
        public ulong DataLen;
        public byte SameServer;
        public byte Truncated;
        public byte HasApp;
        public byte HasUser;
        public ushort UserLen;
        public fixed byte Reserved[10];
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct StoreRequest
    {
        public ulong Id;
        public int Op;
        public int Expect;
        public int Record;
        public uint Max;
        public fixed byte Key[8];
        public ulong ExpectToken;
        public fixed byte ExpectOwner[16];
        public ulong Token;
        public fixed byte Owner[16];
        public fixed byte User[32];
        public ulong LifeUs;
        public ulong LingerUs;
        public ulong Cursor;
        public ulong DataLen;
        public fixed ulong Reserved[2];
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct StoreItem
    {
        public ulong Cursor;
        public byte* Data;
        public UIntPtr Len;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct StoreReply
    {
        public uint StructSize;
        public int Kind;
        public int Record;
        public byte Expired;
        public byte OwnerAlive;
        public byte HasKey;
        public byte Reserved;
        public ulong Token;
        public ulong Cursor;
        public fixed byte Owner[16];
        public fixed byte Key[8];
        public byte* Data;
        public UIntPtr Len;
        public StoreItem* Items;
        public UIntPtr ItemCount;
    }
}
