using System;
using System.Globalization;
using System.Runtime.InteropServices;

namespace Unbroken
{
    /// <summary>The 16 bytes that name a session at its server.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct SessionId : IEquatable<SessionId>
    {
        private ulong first;
        private ulong second;

        internal static unsafe SessionId From(byte* bytes)
        {
            return *(SessionId*)bytes;
        }

        /// <summary>The same session?</summary>
        public bool Equals(SessionId other)
        {
            return first == other.first && second == other.second;
        }

        /// <inheritdoc/>
        public override bool Equals(object other)
        {
            return other is SessionId && Equals((SessionId)other);
        }

        /// <inheritdoc/>
        public override int GetHashCode()
        {
            return first.GetHashCode() ^ (second.GetHashCode() * 31);
        }

        /// <summary>Reads what <see cref="ToString"/> gave; false if it is no such text.</summary>
        public static unsafe bool TryParse(string text, out SessionId id)
        {
            SessionId read = default(SessionId);
            byte* bytes = (byte*)&read;
            bool whole = text != null && text.Length == 32;
            for (int i = 0; whole && i < 16; i++)
            {
                whole = byte.TryParse(text.Substring(2 * i, 2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out bytes[i]);
            }
            id = whole ? read : default(SessionId);
            return whole;
        }

        /// <summary>32 hexadecimal digits, for logs and for <see cref="TryParse"/>.</summary>
        public override unsafe string ToString()
        {
            SessionId copy = this;
            byte* bytes = (byte*)&copy;
            var text = new System.Text.StringBuilder(32);
            for (int i = 0; i < 16; i++)
            {
                text.Append(bytes[i].ToString("x2"));
            }
            return text.ToString();
        }
    }
}
