using System;
using System.Runtime.InteropServices;

namespace Unbroken.Native
{
    // A handle that the application forgets is freed by the finalizer; one that another thread is calling with is freed after that call.

    /// <summary>What the three kinds of handles have in common.</summary>
    internal abstract class Handle : SafeHandle
    {
        protected Handle(IntPtr raw) : base(IntPtr.Zero, true)
        {
            SetHandle(raw);
        }

        public override bool IsInvalid
        {
            get { return handle == IntPtr.Zero; }
        }
    }

    internal sealed class SessionHandle : Handle
    {
        public SessionHandle(IntPtr raw) : base(raw) { }

        protected override bool ReleaseHandle()
        {
            return Library.unbroken_session_free(handle) == 0;
        }
    }

    internal sealed class EndpointHandle : Handle
    {
        public EndpointHandle(IntPtr raw) : base(raw) { }

        protected override bool ReleaseHandle()
        {
            return Library.unbroken_endpoint_free(handle) == 0;
        }
    }

    internal sealed class LoopbackHandle : Handle
    {
        public LoopbackHandle(IntPtr raw) : base(raw) { }

        protected override bool ReleaseHandle()
        {
            return Library.unbroken_loopback_free(handle) == 0;
        }
    }
}
