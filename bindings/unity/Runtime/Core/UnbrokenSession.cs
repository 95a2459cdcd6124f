using System;
using System.Runtime.InteropServices;
using Unbroken.Native;

namespace Unbroken
{
    /// <summary>
    /// A client's session without sockets, threads or a clock: the caller brings them. <see cref="UnbrokenClient"/> does; take this class to
    /// run over something else.
    ///
    /// Report what happened (Handle...), use it (Send, TryReceive), and do what it asks for (Poll...), in any order, until each Poll returns
    /// false. One thread at a time; a second one gets <see cref="Status.ErrBusy"/>. Times are microseconds on a clock that does not run
    /// backwards. Nothing here allocates per message.
    /// </summary>
    public sealed unsafe class UnbrokenSession : ILinkDriven
    {
        private readonly SessionHandle handle;

        internal SessionHandle Handle { get { return handle; } }

        /// <summary>A session that asks for its first link at once.</summary>
        /// <exception cref="UnbrokenException">A setting cannot be used; the message names it.</exception>
        public UnbrokenSession(ClientSettings settings, ulong nowUs)
        {
            Library.CompareVersions();
            byte[] pins = Keys.Row(settings.ServerKeys, "ServerKeys"), realm = Keys.Utf8(settings.Realm);
            Limits limits = settings.Limits.GetValueOrDefault();
            Timing timing = settings.Timing.GetValueOrDefault();
            Backoff backoff = settings.Backoff.GetValueOrDefault();
            Keys.RequireDefault(settings.Limits.HasValue, limits.StructSize, "Limits");
            Keys.RequireDefault(settings.Timing.HasValue, timing.StructSize, "Timing");
            Keys.RequireDefault(settings.Backoff.HasValue, backoff.StructSize, "Backoff");
            ClientConfig config;
            UnbrokenException.Check(Library.unbroken_client_config_init(&config, (UIntPtr)sizeof(ClientConfig)));
            fixed (byte* pinned = pins, realmed = realm, credential = settings.Credential, seed = Keys.Random())
            {
                config.Pins = pinned;
                config.PinCount = (uint)settings.ServerKeys.Count;
                config.Realm = realmed;
                config.RealmLen = (UIntPtr)realm.Length;
                config.Credential = credential;
                config.CredentialLen = (UIntPtr)(settings.Credential == null ? 0 : settings.Credential.Length);
                config.Limits = settings.Limits.HasValue ? &limits : null;
                config.Timing = settings.Timing.HasValue ? &timing : null;
                config.Backoff = settings.Backoff.HasValue ? &backoff : null;
                IntPtr raw;
                UnbrokenException.Check(Library.unbroken_session_connect(&config, seed, nowUs, &raw));
                handle = new SessionHandle(raw);
            }
        }

        /// <summary>Frees the session without a word to the server; see <see cref="Disconnect"/> for that.</summary>
        public void Dispose()
        {
            handle.Dispose();
        }

        // ---- what happened ----

        /// <summary>The connection that <see cref="OutputKind.OpenLink"/> asked for stands.</summary>
        public void HandleLinkUp(ulong link, ulong nowUs)
        {
            UnbrokenException.Check(Library.unbroken_session_handle_link_up(handle, link, nowUs));
        }

        /// <summary>Bytes came on a link.</summary>
        public void HandleInput(ulong link, ReadOnlySpan<byte> bytes, ulong nowUs)
        {
            fixed (byte* data = &MemoryMarshal.GetReference(bytes))
            {
                UnbrokenException.Check(Library.unbroken_session_handle_input(handle, link, data, (UIntPtr)bytes.Length, nowUs));
            }
        }

        /// <summary>A connection could not be made, ended, or broke. That never ends the session.</summary>
        public void HandleLinkDown(ulong link, ulong nowUs)
        {
            UnbrokenException.Check(Library.unbroken_session_handle_link_down(handle, link, nowUs));
        }

        /// <summary>The link's socket takes no more, until <see cref="HandleLinkWritable"/>.</summary>
        public void HandleLinkBlocked(ulong link)
        {
            UnbrokenException.Check(Library.unbroken_session_handle_link_blocked(handle, link));
        }

        /// <summary>The link's socket takes bytes again.</summary>
        public void HandleLinkWritable(ulong link)
        {
            UnbrokenException.Check(Library.unbroken_session_handle_link_writable(handle, link));
        }

        /// <summary>A hint about a network. The number is the caller's name for it and only compared.</summary>
        public void HandleNetwork(NetworkEvent what, ulong network, ulong nowUs)
        {
            UnbrokenException.Check(Library.unbroken_session_handle_network(handle, (int)what, network, nowUs));
        }

        /// <summary>Time passed; call it when <see cref="PollTimeout"/> is reached, or at any time.</summary>
        public void HandleTimeout(ulong nowUs)
        {
            UnbrokenException.Check(Library.unbroken_session_handle_timeout(handle, nowUs));
        }

        // ---- what the application does ----

        /// <summary>Takes a reliable message: it is delivered once and in order while the session lives. <see cref="Status.Ok"/>, or why it was
        /// not taken: <see cref="Status.ErrWouldBlock"/>, <see cref="Status.ErrTooLarge"/>, <see cref="Status.ErrClosed"/>.</summary>
        public Status TrySend(ReadOnlySpan<byte> message)
        {
            fixed (byte* data = &MemoryMarshal.GetReference(message))
            {
                return Refusal(Library.unbroken_session_send(handle, data, (UIntPtr)message.Length, null));
            }
        }

        /// <summary>Takes a message that may be lost, but is never doubled: at most 16,320 bytes. Also <see cref="Status.ErrNoLink"/> and
        /// <see cref="Status.ErrFull"/>.</summary>
        public Status TrySendUnreliable(ReadOnlySpan<byte> message)
        {
            fixed (byte* data = &MemoryMarshal.GetReference(message))
            {
                return Refusal(Library.unbroken_session_send_unreliable(handle, data, (UIntPtr)message.Length));
            }
        }

        /// <summary>Lends the next message: it is valid until the next call with this session, whatever it is. The number counts reliable
        /// messages from 0; it is -1 for an unreliable one. What is taken will be acknowledged.</summary>
        public bool TryReceive(out ReadOnlySpan<byte> message, out long number)
        {
            byte* data;
            UIntPtr length;
            long counted;
            bool any = UnbrokenException.Check(Library.unbroken_session_recv(handle, &data, &length, &counted));
            message = any ? new ReadOnlySpan<byte>(data, (int)length) : default(ReadOnlySpan<byte>);
            number = any ? counted : -1;
            return any;
        }

        /// <summary>Ends the session for good, after what was sent. It never reconnects.</summary>
        public void Disconnect(uint code)
        {
            UnbrokenException.Check(Library.unbroken_session_disconnect(handle, code));
        }

        /// <summary>Tries again after <see cref="HandoverFailure.GaveUp"/> or <see cref="HandoverFailure.VersionMismatch"/>.</summary>
        public void Retry(ulong nowUs)
        {
            UnbrokenException.Check(Library.unbroken_session_retry(handle, nowUs));
        }

        // ---- what the host must do ----

        /// <summary>The next thing to do. The buffer must hold 256 bytes; 65,536 make the most of batching.</summary>
        public bool PollOutput(Span<byte> buffer, ulong nowUs, out SessionOutput output)
        {
            Output native;
            bool any;
            fixed (byte* data = &MemoryMarshal.GetReference(buffer))
            {
                any = UnbrokenException.Check(
                    Library.unbroken_session_poll_output(handle, data, (UIntPtr)buffer.Length, nowUs, &native));
            }
            output = any ? new SessionOutput(ref native) : default(SessionOutput);
            return any;
        }

        /// <summary>The next event.</summary>
        public bool PollEvent(out SessionEvent happened)
        {
            Event native;
            happened = default(SessionEvent);
            if (!UnbrokenException.Check(Library.unbroken_session_poll_event(handle, &native)))
            {
                return false;
            }
            byte[] data = null;
            if (native.DataLen > 0)
            {
                UIntPtr length;
                data = new byte[native.DataLen];
                fixed (byte* bytes = data)
                {
                    UnbrokenException.Check(Library.unbroken_session_event_data(handle, bytes, (UIntPtr)data.Length, &length));
                }
            }
            happened = new SessionEvent(ref native, data);
            return true;
        }

        /// <summary>When <see cref="HandleTimeout"/> wants to be called; <see cref="ulong.MaxValue"/> if never.</summary>
        public ulong PollTimeout()
        {
            ulong deadline;
            UnbrokenException.Check(Library.unbroken_session_poll_timeout(handle, &deadline));
            return deadline;
        }

        // ---- how it stands ----

        /// <summary>Where the session stands.</summary>
        public SessionState State
        {
            get
            {
                int state;
                UnbrokenException.Check(Library.unbroken_session_state(handle, &state));
                return (SessionState)state;
            }
        }

        /// <summary>The session's id; null until the server gave it.</summary>
        public SessionId? Id
        {
            get
            {
                SessionId id;
                return UnbrokenException.Check(Library.unbroken_session_id(handle, (byte*)&id)) ? id : (SessionId?)null;
            }
        }

        /// <summary>The number of the first message that the peer has not acknowledged.</summary>
        public ulong Acked
        {
            get
            {
                ulong number;
                UnbrokenException.Check(Library.unbroken_session_acked(handle, &number));
                return number;
            }
        }

        /// <summary>What carries the session now.</summary>
        public LinkHealth LinkHealth
        {
            get
            {
                LinkHealth health;
                UnbrokenException.Check(Library.unbroken_session_link_health(handle, &health, (UIntPtr)sizeof(LinkHealth)));
                return health;
            }
        }

        /// <summary>Counters.</summary>
        public Stats Stats
        {
            get
            {
                Stats stats;
                UnbrokenException.Check(Library.unbroken_session_stats(handle, &stats, (UIntPtr)sizeof(Stats)));
                return stats;
            }
        }

        /// <summary>Refusals of a message are told as a status, everything else is the caller's mistake.</summary>
        internal static Status Refusal(int status)
        {
            if (status < (int)Status.ErrRandom)
            {
                return (Status)status;
            }
            UnbrokenException.Check(status);
            return Status.Ok;
        }
    }
}
