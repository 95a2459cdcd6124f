using System;
using System.Runtime.InteropServices;
using System.Text;
using Unbroken.Native;

namespace Unbroken
{
    /// <summary>The library refused a call. Nothing happened.</summary>
    public sealed class UnbrokenException : Exception
    {
        /// <summary>Which error.</summary>
        public Status Status { get; private set; }

        internal UnbrokenException(Status status, string message) : base(message)
        {
            Status = status;
        }

        /// <summary>Throws for an error; says whether there was something to do.</summary>
        internal static bool Check(int status)
        {
            if (status < 0)
            {
                throw Last(status);
            }
            return status == (int)Status.Ok;
        }

        private static unsafe UnbrokenException Last(int status)
        {
            if (status == (int)Status.ErrHandle)
            {
                return new UnbrokenException(Status.ErrHandle, "the object was disposed");
            }
            byte* details = stackalloc byte[513];
            UIntPtr length;
            string text = Marshal.PtrToStringAnsi((IntPtr)Library.unbroken_error_text(status));
            if (Library.unbroken_last_error(details, (UIntPtr)513, &length) == (int)Status.Ok && (int)length > 0)
            {
                text += ": " + Encoding.UTF8.GetString(details, (int)length);
            }
            return new UnbrokenException((Status)status, text);
        }
    }
}
