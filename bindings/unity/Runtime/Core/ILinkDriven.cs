using System;

namespace Unbroken
{
    /// <summary>What a session and an endpoint have in common: links, time, and outputs. Times are microseconds on the caller's
    /// clock.</summary>
    internal interface ILinkDriven : IDisposable
    {
        void HandleLinkUp(ulong link, ulong nowUs);
        void HandleInput(ulong link, ReadOnlySpan<byte> bytes, ulong nowUs);
        void HandleLinkDown(ulong link, ulong nowUs);
        void HandleLinkBlocked(ulong link);
        void HandleLinkWritable(ulong link);
        void HandleTimeout(ulong nowUs);
        bool PollOutput(Span<byte> buffer, ulong nowUs, out SessionOutput output);
        bool PollEvent(out SessionEvent happened);
        ulong PollTimeout();
    }
}
