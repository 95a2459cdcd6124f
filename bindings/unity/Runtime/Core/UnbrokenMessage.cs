using System;
using System.Buffers;

namespace Unbroken
{
    /// <summary>A received message in a pooled buffer: dispose it when you have read it, once. What is never disposed is garbage, no leak.</summary>
    public struct UnbrokenMessage : IDisposable
    {
        private byte[] buffer;

        /// <summary>Length in bytes.</summary>
        public int Length { get; private set; }

        /// <summary>Counts reliable messages from 0; -1 for an unreliable one.</summary>
        public long Number { get; private set; }

        /// <summary>The bytes, until it is disposed.</summary>
        public ReadOnlySpan<byte> Span { get { return new ReadOnlySpan<byte>(buffer, 0, Length); } }

        /// <summary>A copy that stays.</summary>
        public byte[] ToArray()
        {
            return Span.ToArray();
        }

        /// <summary>Gives the buffer back to the pool.</summary>
        public void Dispose()
        {
            if (buffer != null)
            {
                ArrayPool<byte>.Shared.Return(buffer);
                buffer = null;
            }
        }

        internal static UnbrokenMessage Copy(ReadOnlySpan<byte> from, long number)
        {
            byte[] buffer = ArrayPool<byte>.Shared.Rent(Math.Max(from.Length, 1));
            from.CopyTo(buffer);
            return new UnbrokenMessage { buffer = buffer, Length = from.Length, Number = number };
        }
    }
}
