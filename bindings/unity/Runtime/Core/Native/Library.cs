using System;
using System.Runtime.InteropServices;

namespace Unbroken.Native
{
    /// <summary>The C ABI, function by function as in include/unbroken.h; a test compares names and parameters. No callbacks: IL2CPP could not
    /// give any.</summary>
    internal static unsafe class Library
    {
        /// <summary>UNBROKEN_ABI_VERSION of the header that these declarations were written for.</summary>
        public const uint AbiVersion = 1;
        public const uint AnyShard = uint.MaxValue;
        public const uint RouteNeeded = 28;
        public const uint MinBuffer = 256;
        public const uint UserMoved = 0xfffffffe;

#if UNITY_IOS && !UNITY_EDITOR
        // On iOS the library is linked into the program itself.
        private const string File = "__Internal";
#else
        private const string File = "unbroken";
#endif
        private const CallingConvention C = CallingConvention.Cdecl;

        [DllImport(File, CallingConvention = C)] public static extern byte* unbroken_error_text(int status);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_last_error(byte* buffer, UIntPtr capacity, UIntPtr* length);
        [DllImport(File, CallingConvention = C)] public static extern uint unbroken_abi_version();
        [DllImport(File, CallingConvention = C)] public static extern byte* unbroken_version();
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_random_seed(byte* seed);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_public_key(byte* secret, byte* publicKey);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_limits_init(Limits* limits, UIntPtr size);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_timing_init(Timing* timing, UIntPtr size);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_backoff_init(Backoff* backoff, UIntPtr size);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_client_config_init(ClientConfig* config, UIntPtr size);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_server_config_init(ServerConfig* config, UIntPtr size);

        [DllImport(File, CallingConvention = C)] public static extern int unbroken_session_connect(ClientConfig* config, byte* seed, ulong now, IntPtr* session);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_session_free(IntPtr session);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_session_handle_link_up(SessionHandle session, ulong link, ulong now);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_session_handle_input(SessionHandle session, ulong link, byte* data, UIntPtr length, ulong now);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_session_handle_link_down(SessionHandle session, ulong link, ulong now);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_session_handle_link_blocked(SessionHandle session, ulong link);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_session_handle_link_writable(SessionHandle session, ulong link);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_session_handle_network(SessionHandle session, int what, ulong network, ulong now);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_session_handle_timeout(SessionHandle session, ulong now);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_session_send(SessionHandle session, byte* data, UIntPtr length, ulong* number);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_session_send_unreliable(SessionHandle session, byte* data, UIntPtr length);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_session_recv(SessionHandle session, byte** data, UIntPtr* length, long* number);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_session_disconnect(SessionHandle session, uint code);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_session_retry(SessionHandle session, ulong now);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_session_poll_output(SessionHandle session, byte* buffer, UIntPtr capacity, ulong now, Output* output);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_session_poll_event(SessionHandle session, Event* happened);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_session_event_data(SessionHandle session, byte* buffer, UIntPtr capacity, UIntPtr* length);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_session_poll_timeout(SessionHandle session, ulong* deadline);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_session_state(SessionHandle session, int* state);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_session_id(SessionHandle session, byte* id);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_session_acked(SessionHandle session, ulong* number);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_session_link_health(SessionHandle session, LinkHealth* health, UIntPtr size);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_session_stats(SessionHandle session, Stats* stats, UIntPtr size);

        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_new(ServerConfig* config, byte* seed, ulong now, IntPtr* endpoint);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_free(IntPtr endpoint);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_handle_link_up(EndpointHandle endpoint, ulong link, ulong now);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_handle_input(EndpointHandle endpoint, ulong link, byte* data, UIntPtr length, ulong now);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_handle_link_down(EndpointHandle endpoint, ulong link, ulong now);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_handle_link_blocked(EndpointHandle endpoint, ulong link);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_handle_link_writable(EndpointHandle endpoint, ulong link);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_handle_timeout(EndpointHandle endpoint, ulong now);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_drain(EndpointHandle endpoint, ulong window, byte* address, UIntPtr length);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_announce_keys(EndpointHandle endpoint, byte* keys, uint* lifetimes, UIntPtr count);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_kick(EndpointHandle endpoint, byte* id, uint code);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_poll_output(EndpointHandle endpoint, byte* buffer, UIntPtr capacity, ulong now, Output* output);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_poll_event(EndpointHandle endpoint, Event* happened);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_event_data(EndpointHandle endpoint, byte* buffer, UIntPtr capacity, UIntPtr* length);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_poll_timeout(EndpointHandle endpoint, ulong* deadline);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_counters(EndpointHandle endpoint, Counters* counters, UIntPtr size);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_session_send(EndpointHandle endpoint, byte* id, byte* data, UIntPtr length, ulong* number);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_session_send_unreliable(EndpointHandle endpoint, byte* id, byte* data, UIntPtr length);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_session_recv(EndpointHandle endpoint, byte* id, byte** data, UIntPtr* length, long* number);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_session_authorise(EndpointHandle endpoint, byte* id, int accept, uint code, byte* message, UIntPtr length);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_session_answer_resume(EndpointHandle endpoint, byte* id, int accept, uint code);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_session_close(EndpointHandle endpoint, byte* id, uint code);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_session_kick(EndpointHandle endpoint, byte* id, uint code);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_session_state(EndpointHandle endpoint, byte* id, int* state);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_session_stats(EndpointHandle endpoint, byte* id, Stats* stats, UIntPtr size);

        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_poll_store(EndpointHandle endpoint, StoreRequest* request);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_store_data(EndpointHandle endpoint, byte* buffer, UIntPtr capacity, UIntPtr* length);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_handle_store(EndpointHandle endpoint, ulong id, StoreReply* reply, ulong now);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_owner(EndpointHandle endpoint, byte* owner);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_owes_store(EndpointHandle endpoint, int* owes);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_poll_snapshot(EndpointHandle endpoint, byte* id);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_save(EndpointHandle endpoint, byte* id, int hasState, byte* state, UIntPtr length);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_retire(EndpointHandle endpoint);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_stay(EndpointHandle endpoint);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_session_authorise_with(EndpointHandle endpoint, byte* id, int accept, uint code, byte* message, UIntPtr length, byte* state, UIntPtr stateLength);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_session_commit(EndpointHandle endpoint, byte* id);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_endpoint_session_is_leaving(EndpointHandle endpoint, byte* id, int* leaving);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_store_reply_init(StoreReply* reply, UIntPtr size);

        [DllImport(File, CallingConvention = C)] public static extern int unbroken_loopback_new(SessionHandle session, EndpointHandle endpoint, IntPtr* loopback);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_loopback_free(IntPtr loopback);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_loopback_step(LoopbackHandle loopback, ulong now);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_loopback_cut(LoopbackHandle loopback, ulong now);
        [DllImport(File, CallingConvention = C)] public static extern int unbroken_loopback_refuse(LoopbackHandle loopback, int refuse);

        private static bool compared;

        /// <summary>Throws unless the loaded library is the one that these declarations describe. Whatever may be the first call into it begins with
        /// this, so that a library that is missing is told with what to do.</summary>
        public static void CompareVersions()
        {
            if (compared)
            {
                return;
            }
            uint found;
            try
            {
                found = unbroken_abi_version();
            }
            catch (DllNotFoundException missing)
            {
                throw new DllNotFoundException("the native library of Unbroken is not there for this platform; build it with bindings/unity/build, which puts it"
                    + " into the package's Plugins folder, and restart the Unity editor", missing);
            }
            if (found != AbiVersion)
            {
                throw new UnbrokenException(Status.ErrStructSize, "the native library has ABI " + found + ", this package needs " + AbiVersion
                    + "; after updating the package, restart the Unity editor: it never unloads a native library");
            }
            compared = true;
        }
    }
}
