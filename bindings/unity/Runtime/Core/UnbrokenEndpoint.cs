using System;
using System.Runtime.InteropServices;
using Unbroken.Native;

namespace Unbroken
{
    /// <summary>
    /// A server's sessions without sockets, threads or a clock: the caller brings them. <see cref="UnbrokenServer"/> does; take this class to
    /// run over something else. Driven as an <see cref="UnbrokenSession"/> is; the caller names the links it accepts, and never uses a name
    /// twice.
    /// </summary>
    public sealed unsafe partial class UnbrokenEndpoint : ILinkDriven
    {
        private readonly EndpointHandle handle;

        internal EndpointHandle Handle { get { return handle; } }

        /// <summary>An endpoint without sessions. It has no store, whatever the settings say.</summary>
        /// <exception cref="UnbrokenException">A setting cannot be used; the message names it.</exception>
        public UnbrokenEndpoint(ServerSettings settings, ulong nowUs) : this(settings, nowUs, Durability.Memory)
        {
        }

        internal UnbrokenEndpoint(ServerSettings settings, ulong nowUs, Durability durability)
        {
            Library.CompareVersions();
            Keys.Require(settings.ClusterKey, "ClusterKey");
            byte[] keys = Keys.Row(settings.SecretKeys, "SecretKeys");
            byte[] olderKeys = Keys.Row(settings.OlderClusterKeys, "OlderClusterKeys");
            byte[] realm = Keys.Utf8(settings.Realm), address = Keys.Utf8(settings.Address);
            Limits limits = settings.Limits.GetValueOrDefault();
            Timing timing = settings.Timing.GetValueOrDefault();
            Keys.RequireDefault(settings.Limits.HasValue, limits.StructSize, "Limits");
            Keys.RequireDefault(settings.Timing.HasValue, timing.StructSize, "Timing");
            ServerConfig config;
            UnbrokenException.Check(Library.unbroken_server_config_init(&config, (UIntPtr)sizeof(ServerConfig)));
            fixed (byte* key = keys, cluster = settings.ClusterKey, older = olderKeys)
            fixed (byte* realmed = realm, addressed = address, seed = Keys.Random())
            {
                config.Keys = key;
                config.KeyCount = (uint)settings.SecretKeys.Count;
                config.ClusterKey = cluster;
                config.OlderClusterCount = (uint)settings.OlderClusterKeys.Count;
                config.OlderClusterKeys = older;
                config.Realm = realmed;
                config.RealmLen = (UIntPtr)realm.Length;
                config.Address = addressed;
                config.AddressLen = (UIntPtr)address.Length;
                config.Limits = settings.Limits.HasValue ? &limits : null;
                config.Timing = settings.Timing.HasValue ? &timing : null;
                config.AuthoriseAll = (byte)(settings.AuthoriseAll ? 1 : 0);
                config.AskOnResume = (byte)(settings.AskOnResume ? 1 : 0);
                config.Durability = (int)durability;
                IntPtr raw;
                UnbrokenException.Check(Library.unbroken_endpoint_new(&config, seed, nowUs, &raw));
                handle = new EndpointHandle(raw);
            }
        }

        /// <summary>Frees the endpoint and its sessions, without a word to the clients.</summary>
        public void Dispose()
        {
            handle.Dispose();
        }

        // ---- what happened ----

        /// <summary>A connection was accepted.</summary>
        public void HandleLinkUp(ulong link, ulong nowUs)
        {
            UnbrokenException.Check(Library.unbroken_endpoint_handle_link_up(handle, link, nowUs));
        }

        /// <summary>Bytes came on a link.</summary>
        public void HandleInput(ulong link, ReadOnlySpan<byte> bytes, ulong nowUs)
        {
            fixed (byte* data = &MemoryMarshal.GetReference(bytes))
            {
                UnbrokenException.Check(Library.unbroken_endpoint_handle_input(handle, link, data, (UIntPtr)bytes.Length, nowUs));
            }
        }

        /// <summary>A connection ended or broke. That never ends a session.</summary>
        public void HandleLinkDown(ulong link, ulong nowUs)
        {
            UnbrokenException.Check(Library.unbroken_endpoint_handle_link_down(handle, link, nowUs));
        }

        /// <summary>The link's socket takes no more, until <see cref="HandleLinkWritable"/>.</summary>
        public void HandleLinkBlocked(ulong link)
        {
            UnbrokenException.Check(Library.unbroken_endpoint_handle_link_blocked(handle, link));
        }

        /// <summary>The link's socket takes bytes again.</summary>
        public void HandleLinkWritable(ulong link)
        {
            UnbrokenException.Check(Library.unbroken_endpoint_handle_link_writable(handle, link));
        }

        /// <summary>Time passed; call it when <see cref="PollTimeout"/> is reached, or at any time.</summary>
        public void HandleTimeout(ulong nowUs)
        {
            UnbrokenException.Check(Library.unbroken_endpoint_handle_timeout(handle, nowUs));
        }

        // ---- all sessions ----

        /// <summary>Asks every client with a link to reconnect within the window, each at a moment of its own, to the address (`host:port`) or, if
        /// that is empty, where it is configured to.</summary>
        public void Drain(TimeSpan window, string address)
        {
            if (window < TimeSpan.Zero)
            {
                throw new ArgumentOutOfRangeException("window", "a time is not negative");
            }
            byte[] text = Keys.Utf8(address);
            fixed (byte* data = text)
            {
                UnbrokenException.Check(
                    Library.unbroken_endpoint_drain(handle, (ulong)(window.Ticks / 10), data, (UIntPtr)text.Length));
            }
        }

        /// <summary>Tells every client with a link of 1 to 4 server keys to trust from now on, and for how many seconds each.</summary>
        public void AnnounceKeys(byte[][] publicKeys, uint[] lifetimesS)
        {
            if (publicKeys.Length != lifetimesS.Length)
            {
                throw new ArgumentException("each key needs a lifetime", "lifetimesS");
            }
            fixed (byte* keys = Keys.Row(publicKeys, "publicKeys"))
            fixed (uint* lifetimes = lifetimesS)
            {
                UnbrokenException.Check(
                    Library.unbroken_endpoint_announce_keys(handle, keys, lifetimes, (UIntPtr)publicKeys.Length));
            }
        }

        /// <summary>Counters, and how many sessions and links there are.</summary>
        public Counters Counters
        {
            get
            {
                Counters counters;
                UnbrokenException.Check(Library.unbroken_endpoint_counters(handle, &counters, (UIntPtr)sizeof(Counters)));
                return counters;
            }
        }

        // ---- one session ----

        /// <summary>Answers <see cref="EventKind.Authorise"/>: lets the client in, or ends its session with the code. The message, at most 1024
        /// bytes, is told to the client. False if the client was not waiting for it.</summary>
        public bool Authorise(SessionId id, bool accept, uint code, ReadOnlySpan<byte> message)
        {
            return Authorise(id, accept, code, message, null);
        }

        internal bool Authorise(SessionId id, bool accept, uint code, ReadOnlySpan<byte> message, byte[] state)
        {
            fixed (byte* data = &MemoryMarshal.GetReference(message), app = state)
            {
                return Known(state == null
                    ? Library.unbroken_endpoint_session_authorise(
                        handle, (byte*)&id, accept ? 1 : 0, code, data, (UIntPtr)message.Length)
                    : Library.unbroken_endpoint_session_authorise_with(
                        handle, (byte*)&id, accept ? 1 : 0, code, data, (UIntPtr)message.Length, app, (UIntPtr)state.Length));
            }
        }

        /// <summary>Answers <see cref="EventKind.ResumeRequest"/>. False if no resume was waiting.</summary>
        public bool AnswerResume(SessionId id, bool accept, uint code)
        {
            return Known(Library.unbroken_endpoint_session_answer_resume(handle, (byte*)&id, accept ? 1 : 0, code));
        }

        /// <summary>As <see cref="UnbrokenSession.TrySend"/>, to the client of a session.</summary>
        public Status TrySend(SessionId id, ReadOnlySpan<byte> message)
        {
            fixed (byte* data = &MemoryMarshal.GetReference(message))
            {
                return UnbrokenSession.Refusal(
                    Library.unbroken_endpoint_session_send(handle, (byte*)&id, data, (UIntPtr)message.Length, null));
            }
        }

        /// <summary>As <see cref="UnbrokenSession.TrySendUnreliable"/>, to the client of a session.</summary>
        public Status TrySendUnreliable(SessionId id, ReadOnlySpan<byte> message)
        {
            fixed (byte* data = &MemoryMarshal.GetReference(message))
            {
                return UnbrokenSession.Refusal(
                    Library.unbroken_endpoint_session_send_unreliable(handle, (byte*)&id, data, (UIntPtr)message.Length));
            }
        }

        /// <summary>Lends the next message of a session: it is valid until the next call with this endpoint. See
        /// <see cref="UnbrokenSession.TryReceive"/>. False, too, when the session is over and read.</summary>
        public bool TryReceive(SessionId id, out ReadOnlySpan<byte> message, out long number)
        {
            byte* data;
            UIntPtr length;
            long counted;
            int status = Library.unbroken_endpoint_session_recv(handle, (byte*)&id, &data, &length, &counted);
            bool any = status != (int)Status.ErrUnknownSession && UnbrokenException.Check(status);
            message = any ? new ReadOnlySpan<byte>(data, (int)length) : default(ReadOnlySpan<byte>);
            number = any ? counted : -1;
            return any;
        }

        /// <summary>Ends a session for good, after what was sent. False if there is none.</summary>
        public bool Close(SessionId id, uint code)
        {
            return Known(Library.unbroken_endpoint_session_close(handle, (byte*)&id, code));
        }

        /// <summary>Puts a client out: it sees <see cref="CloseReason.Kicked"/>. False if there is none.</summary>
        public bool Kick(SessionId id, uint code)
        {
            return Known(Library.unbroken_endpoint_session_kick(handle, (byte*)&id, code));
        }

        /// <summary>Where a session stands; <see cref="SessionState.Closed"/> if the endpoint does not hold it.</summary>
        public SessionState StateOf(SessionId id)
        {
            int state;
            return Known(Library.unbroken_endpoint_session_state(handle, (byte*)&id, &state)) ? (SessionState)state : SessionState.Closed;
        }

        /// <summary>Counters of a session; all zero if the endpoint does not hold it.</summary>
        public Stats StatsOf(SessionId id)
        {
            Stats stats;
            return Known(Library.unbroken_endpoint_session_stats(handle, (byte*)&id, &stats, (UIntPtr)sizeof(Stats))) ? stats : default(Stats);
        }

        // ---- what the host must do ----

        /// <summary>The next thing to do; an endpoint opens no links.</summary>
        public bool PollOutput(Span<byte> buffer, ulong nowUs, out SessionOutput output)
        {
            Output native;
            bool any;
            fixed (byte* data = &MemoryMarshal.GetReference(buffer))
            {
                any = UnbrokenException.Check(
                    Library.unbroken_endpoint_poll_output(handle, data, (UIntPtr)buffer.Length, nowUs, &native));
            }
            output = any ? new SessionOutput(ref native) : default(SessionOutput);
            return any;
        }

        /// <summary>The next event; its session says whose it is.</summary>
        public bool PollEvent(out SessionEvent happened)
        {
            Event native;
            happened = default(SessionEvent);
            if (!UnbrokenException.Check(Library.unbroken_endpoint_poll_event(handle, &native)))
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
                    UnbrokenException.Check(Library.unbroken_endpoint_event_data(handle, bytes, (UIntPtr)data.Length, &length));
                }
            }
            happened = new SessionEvent(ref native, data);
            return true;
        }

        /// <summary>When <see cref="HandleTimeout"/> wants to be called; <see cref="ulong.MaxValue"/> if never.</summary>
        public ulong PollTimeout()
        {
            ulong deadline;
            UnbrokenException.Check(Library.unbroken_endpoint_poll_timeout(handle, &deadline));
            return deadline;
        }

        /// <summary>False, too, if there is no such session.</summary>
        private static bool Known(int status)
        {
            return status != (int)Status.ErrUnknownSession && UnbrokenException.Check(status);
        }
    }
}
