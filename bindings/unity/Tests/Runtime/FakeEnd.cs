using System;
using System.Collections.Generic;
using System.Net;
using System.Net.Sockets;
using Unbroken.Net;

namespace Unbroken.Tests
{
    /// <summary>An end for a SocketLoop that says what a test wants it to say.</summary>
    internal sealed class FakeEnd : ILinkDriven
    {
        /// <summary>What is to be sent next, to which link and how much; null: nothing now.</summary>
        public Func<KeyValuePair<ulong, int>?> Next = () => null;
        public readonly Queue<SessionEvent> Events = new Queue<SessionEvent>();
        /// <summary>How often it was told the time.</summary>
        public int Timeouts;
        /// <summary>Links that are wanted.</summary>
        public readonly Queue<ulong> Open = new Queue<ulong>();
        public readonly HashSet<ulong> Up = new HashSet<ulong>(), Down = new HashSet<ulong>(), Blocked = new HashSet<ulong>();

        public void HandleLinkUp(ulong link, ulong nowUs) { Up.Add(link); }
        public void HandleInput(ulong link, ReadOnlySpan<byte> bytes, ulong nowUs) { }
        public void HandleLinkDown(ulong link, ulong nowUs) { Up.Remove(link); Down.Add(link); }
        public void HandleLinkBlocked(ulong link) { Blocked.Add(link); }
        public void HandleLinkWritable(ulong link) { Blocked.Remove(link); }
        public void HandleTimeout(ulong nowUs) { Timeouts++; }
        public ulong PollTimeout() { return ulong.MaxValue; }
        public void Dispose() { }

        public bool PollOutput(Span<byte> buffer, ulong nowUs, out SessionOutput output)
        {
            if (Open.Count > 0)
            {
                output = new SessionOutput { Kind = OutputKind.OpenLink, Link = Open.Dequeue() };
                return true;
            }
            KeyValuePair<ulong, int>? next = Next();
            output = next.HasValue
                ? new SessionOutput { Kind = OutputKind.Send, Link = next.Value.Key, Length = next.Value.Value }
                : default(SessionOutput);
            return next.HasValue;
        }

        public bool PollEvent(out SessionEvent happened)
        {
            bool any = Events.Count > 0;
            happened = any ? Events.Dequeue() : default(SessionEvent);
            return any;
        }

        /// <param name="session">The first byte of its name.</param>
        public static unsafe SessionEvent Event(EventKind kind, byte session = 0)
        {
            var native = new Native.Event { Kind = (int)kind };
            native.Session[0] = session;
            return new SessionEvent(ref native, null);
        }

        /// <summary>Gives the loop a connection; its other end.</summary>
        public static Socket Connect(SocketLoop loop, ulong link)
        {
            using (var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
            {
                listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
                listener.Listen(1);
                var other = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
                other.Connect(listener.LocalEndPoint);
                Socket accepted = listener.Accept();
                Dialler.Prepare(accepted);
                loop.Adopt(link, accepted);
                return other;
            }
        }
    }
}
