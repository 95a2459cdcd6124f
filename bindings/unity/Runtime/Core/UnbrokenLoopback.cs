using System;
using Unbroken.Native;

namespace Unbroken
{
    /// <summary>A client and a server joined in memory, on a clock of the caller's: a network for tests and single-player modes, which can be
    /// cut at will. It does not own what it joins.</summary>
    public sealed unsafe class UnbrokenLoopback : IDisposable
    {
        private readonly LoopbackHandle handle;

        /// <summary>Joins a session and an endpoint. An endpoint takes part in one loopback at a time.</summary>
        public UnbrokenLoopback(UnbrokenSession session, UnbrokenEndpoint endpoint)
        {
            IntPtr raw;
            UnbrokenException.Check(Library.unbroken_loopback_new(session.Handle, endpoint.Handle, &raw));
            handle = new LoopbackHandle(raw);
        }

        /// <summary>One trip: what is on the wire arrives, time passes for both ends, and what they have to say is put on the wire. False if
        /// nothing arrived and nothing was said.</summary>
        public bool Step(ulong nowUs)
        {
            return UnbrokenException.Check(Library.unbroken_loopback_step(handle, nowUs));
        }

        /// <summary>The link breaks: what is on the wire is lost, both ends are told. False if there was no link.</summary>
        public bool Cut(ulong nowUs)
        {
            return UnbrokenException.Check(Library.unbroken_loopback_cut(handle, nowUs));
        }

        /// <summary>From now on new connections fail, or work again. Those that stand are not touched.</summary>
        public void Refuse(bool refuse)
        {
            UnbrokenException.Check(Library.unbroken_loopback_refuse(handle, refuse ? 1 : 0));
        }

        /// <summary>Frees the loopback, not what it joined.</summary>
        public void Dispose()
        {
            handle.Dispose();
        }
    }
}
