namespace Unbroken
{
    // The numbers are those of include/unbroken.h; a test compares them.

    /// <summary>What a call into the library returns: 0 when it did its work, positive when there was nothing to do, negative when it
    /// failed.</summary>
    public enum Status
    {
        /// <summary>Done.</summary>
        Ok = 0,
        /// <summary>Nothing there, nothing to do.</summary>
        Empty = 1,
        /// <summary>A pointer is null that must not be.</summary>
        ErrNull = -1,
        /// <summary>A length is over what the function says.</summary>
        ErrLength = -2,
        /// <summary>The object was disposed.</summary>
        ErrHandle = -3,
        /// <summary>The handle is of another kind.</summary>
        ErrKind = -4,
        /// <summary>Another thread is in a call with this object. Nothing happened.</summary>
        ErrBusy = -5,
        /// <summary>An earlier call panicked; the object can only be disposed.</summary>
        ErrPoisoned = -6,
        /// <summary>The library panicked: a bug, please report it. The object can only be disposed.</summary>
        ErrPanic = -7,
        /// <summary>The buffer is too small; nothing was consumed.</summary>
        ErrBufferTooSmall = -8,
        /// <summary>A setting cannot be used; the exception's message names it.</summary>
        ErrConfig = -9,
        /// <summary>The library and this assembly are of different versions.</summary>
        ErrStructSize = -10,
        /// <summary>An argument has a value that means nothing.</summary>
        ErrArgument = -11,
        /// <summary>The system gives no random numbers.</summary>
        ErrRandom = -12,
        /// <summary>The message does not fit beside what the peer has not acknowledged yet. It was not taken: try again after
        /// <see cref="EventKind.Writable"/>.</summary>
        ErrWouldBlock = -13,
        /// <summary>The message is larger than either end allows. It was not taken.</summary>
        ErrTooLarge = -14,
        /// <summary>The session is closed or closing. The message was not taken.</summary>
        ErrClosed = -15,
        /// <summary>No link is up, and unreliable messages do not wait for one. The message was not taken.</summary>
        ErrNoLink = -16,
        /// <summary>The endpoint holds no such session.</summary>
        ErrUnknownSession = -17,
        /// <summary>More objects are alive than the library can name.</summary>
        ErrTooMany = -18,
        /// <summary>(unreliable only) As many unreliable messages wait as may. It was not taken: drop it.</summary>
        ErrFull = -19,
        /// <summary>(with a store) The snapshot would be larger than the limit.</summary>
        ErrSnapshot = -20,
        /// <summary>This needs a store.</summary>
        ErrNoStore = -21,
    }

    /// <summary>What the application should know. <see cref="Closed"/> comes once, last.</summary>
    public enum EventKind
    {
        /// <summary>The state changed; for displays and logs.</summary>
        State = 1,
        /// <summary>The session stands for the first time. At the client, the data is what the server said with its verdict.</summary>
        Established = 2,
        /// <summary>(server) A client asks to be let in; the data is its credential.</summary>
        Authorise = 3,
        /// <summary>(server, only with <see cref="ServerSettings.AskOnResume"/>) A client wants to resume.</summary>
        ResumeRequest = 4,
        /// <summary>(server) Messages wait.</summary>
        Readable = 5,
        /// <summary>There is room again after a send that would have blocked.</summary>
        Writable = 6,
        /// <summary>The link failed, is failing or is being replaced; see the cause. Messages wait, nothing is lost.</summary>
        HandoverBegin = 7,
        /// <summary>The session runs again; see downtime and what was replayed.</summary>
        HandoverEnd = 8,
        /// <summary>The session could not be carried on; see the reason, and how far messages were acknowledged.</summary>
        HandoverFailed = 9,
        /// <summary>The server asks to move elsewhere; the session does so by itself.</summary>
        Draining = 10,
        /// <summary>The session ended; see reason and code.</summary>
        Closed = 11,
        /// <summary>(client) The server did not let the client in; the data is what it said. <see cref="Closed"/> follows.</summary>
        Refused = 12,
        /// <summary>(server with a store) The session came from the store, or from another server.</summary>
        Restored = 13,
        /// <summary>(server with a store) The session has left this process. The last event of it here.</summary>
        SwappedOut = 14,
        /// <summary>(server with a store) The store did not take the session; it goes on here.</summary>
        SwapOutFailed = 15,
        /// <summary>(server with a store) Messages from servers wait.</summary>
        Mail = 16,
    }

    /// <summary>Where a session stands.</summary>
    public enum SessionState
    {
        /// <summary>Created, or given up; nothing is under way.</summary>
        None = 0,
        /// <summary>A link was asked for and is not up. At a server: waiting for the client.</summary>
        Connecting = 1,
        /// <summary>The first flight was sent; the keys are not agreed.</summary>
        Handshaking = 2,
        /// <summary>Keys are agreed.</summary>
        Connected = 3,
        /// <summary>Waiting for the peer's position.</summary>
        Restore = 4,
        /// <summary>May send; the authorisation is outstanding.</summary>
        Standby = 5,
        /// <summary>Up.</summary>
        Established = 6,
        /// <summary>Ended; final.</summary>
        Closed = 7,
    }

    /// <summary>Why a handover began.</summary>
    public enum HandoverCause
    {
        /// <summary>The link ended: FIN, reset, or an error.</summary>
        LinkLost = 0,
        /// <summary>The link carries nothing although it should.</summary>
        LinkSuspect = 1,
        /// <summary>The device's network changed.</summary>
        NetworkChanged = 2,
        /// <summary>The server asked for it.</summary>
        Drain = 3,
        /// <summary>The device woke.</summary>
        Wake = 4,
        /// <summary>The link broke the protocol.</summary>
        BadInput = 5,
        /// <summary>The peer came with a newer link (seen at the server).</summary>
        PeerMoved = 6,
    }

    /// <summary>Why a handover failed.</summary>
    public enum HandoverFailure
    {
        /// <summary>The time that a session lives without a link ran out.</summary>
        Expired = 0,
        /// <summary>The server put the session out.</summary>
        Kicked = 1,
        /// <summary>The server refused the resume.</summary>
        Refused = 2,
        /// <summary>The server does not know the session.</summary>
        UnknownSession = 3,
        /// <summary>One end came back with an older state.</summary>
        RolledBack = 4,
        /// <summary>The server process died with the session's state.</summary>
        OwnerCrashed = 5,
        /// <summary>No protocol version in common. Not final: <c>Retry</c> tries again.</summary>
        VersionMismatch = 6,
        /// <summary>A bound was passed.</summary>
        Overflow = 7,
        /// <summary>No server could be reached within <see cref="Backoff.GiveUpAfterMs"/>. Not final: <c>Retry</c> tries again.</summary>
        GaveUp = 8,
        /// <summary>The session was closed by an end meanwhile.</summary>
        Closed = 9,
    }

    /// <summary>Why a session ended.</summary>
    public enum CloseReason
    {
        /// <summary>This end closed it, with the code.</summary>
        Local = 0,
        /// <summary>The peer closed it, with the code.</summary>
        Peer = 1,
        /// <summary>No link came back in time.</summary>
        Expired = 2,
        /// <summary>The server put the session out, with the code.</summary>
        Kicked = 3,
        /// <summary>Another device took the session over.</summary>
        Superseded = 4,
        /// <summary>The server refused the credential or the resume, with the code.</summary>
        Refused = 5,
        /// <summary>The server never heard of the session, or has forgotten it.</summary>
        UnknownSession = 6,
        /// <summary>One end came back with an older state than it had shown before.</summary>
        RolledBack = 7,
        /// <summary>The server process that held the session died, and its state with it.</summary>
        OwnerCrashed = 8,
        /// <summary>The ends have no protocol version in common.</summary>
        VersionMismatch = 9,
        /// <summary>A message was larger than the peer takes, or a bound was passed that cannot be waited for.</summary>
        Overflow = 10,
        /// <summary>A broken invariant in the library; please report it.</summary>
        Internal = 11,
    }

    /// <summary>What the host must do next.</summary>
    public enum OutputKind
    {
        /// <summary>Write the first bytes of the buffer to the link.</summary>
        Send = 1,
        /// <summary>Open a connection and report it up or down.</summary>
        OpenLink = 2,
        /// <summary>Close the connection, after what was written to it has left.</summary>
        CloseLink = 3,
    }

    /// <summary>What the host may say of its networks. Hints: a false one costs a second link, never a message.</summary>
    public enum NetworkEvent
    {
        /// <summary>The network came up, and is the wanted one now.</summary>
        Available = 1,
        /// <summary>The network went away: links on it are as good as dead.</summary>
        Lost = 2,
        /// <summary>The default network or the device's address changed: a second link is opened at once.</summary>
        Changed = 3,
        /// <summary>The process will be frozen: no probes, no dialling, until <see cref="Wake"/>.</summary>
        Suspend = 4,
        /// <summary>The process runs again; an unknown time has passed.</summary>
        Wake = 5,
    }

    /// <summary>How the link stands that carries a session.</summary>
    public enum LinkCondition
    {
        /// <summary>No link is wanted: the session does not stand yet, is suspended, has given up, or ends.</summary>
        Idle = 0,
        /// <summary>A link carries the session.</summary>
        Sound = 1,
        /// <summary>A link carries it, and owes an answer for too long.</summary>
        Suspect = 2,
        /// <summary>There is none.</summary>
        Lost = 3,
    }

    /// <summary>What becomes of sessions when their server ends. What a <see cref="FileStore"/> does for it is said there.</summary>
    public enum Durability
    {
        /// <summary>They end with it. No store is needed.</summary>
        Memory = 0,
        /// <summary>A planned end loses nothing: <see cref="UnbrokenServer.Leave"/> puts the sessions into the store. A crash ends them, and the clients
        /// are told so.</summary>
        SwapOut = 1,
        /// <summary>Nothing is lost, whatever happens to the process: no acknowledgement, no message and no answer to a resume leaves it before the
        /// store holds a snapshot that covers it. Costs a write to the store for each round of messages, and its time.</summary>
        Durable = 2,
    }
}

namespace Unbroken.Native
{
    /// <summary>What can be asked of a store.</summary>
    internal enum StoreOp
    {
        Peek = 1,
        Put = 2,
        Lease = 3,
        Send = 4,
        Receive = 5,
        Append = 6,
        Read = 7,
        Trim = 8,
        Bind = 9,
    }

    /// <summary>Kinds of records.</summary>
    internal enum RecordKind
    {
        None = 0,
        Live = 1,
        Parked = 2,
        Tomb = 3,
    }

    /// <summary>Outcomes of requests.</summary>
    internal enum ReplyKind
    {
        Done = 1,
        Conflict = 2,
        Peeked = 3,
        Notes = 4,
        Appended = 5,
        NoSession = 6,
        Messages = 7,
        Bound = 8,
        Unavailable = 9,
        Failed = 10,
    }
}
