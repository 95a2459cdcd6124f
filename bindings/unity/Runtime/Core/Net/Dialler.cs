using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Threading;

namespace Unbroken.Net
{
    /// <summary>
    /// Opens TCP connections. The addresses of a name are tried with the families in turn, each a quarter of a second behind the one before, or at once
    /// when that one failed (RFC 8305); the first that stands is it. So a dead IPv6 path costs a quarter of a second. All waiting is in slices, so that
    /// a dial that nobody wants any more ends soon.
    /// </summary>
    internal sealed class Dialler
    {
        private static readonly TimeSpan Slice = TimeSpan.FromMilliseconds(50);
        /// <summary>What an address has over the next one.</summary>
        private static readonly TimeSpan HeadStart = TimeSpan.FromMilliseconds(250);
        /// <summary>Addresses tried at most.</summary>
        private const int Most = 8;
        /// <summary>Longer than anybody waits, and short enough to be added to.</summary>
        private static readonly TimeSpan Longest = TimeSpan.FromDays(1);

        private readonly TimeSpan limit;
        private readonly int sendBuffer;
        private readonly Stopwatch begun = Stopwatch.StartNew();
        private readonly Func<bool> abandoned;

        public Dialler(TimeSpan limit, int sendBuffer, Func<bool> abandoned)
        {
            this.limit = limit < Longest && limit != Timeout.InfiniteTimeSpan ? limit : Longest;
            this.sendBuffer = sendBuffer;
            this.abandoned = abandoned;
        }

        /// <summary>A connection on its way.</summary>
        private struct Try
        {
            public Socket Socket;
            public IAsyncResult Pending;
        }

        /// <summary>A connected, non-blocking socket, or null.</summary>
        public Socket Connect(string host, int port, IPAddress local)
        {
            return First(InTurn(LookUp(host)), port, local);
        }

        /// <summary>The first of these addresses that takes the connection.</summary>
        internal Socket First(List<IPAddress> addresses, int port, IPAddress local)
        {
            // An address of the other family cannot be bound: its connection would be on the system's network, and count as one on this.
            if (local != null && addresses.Exists(one => one.AddressFamily == local.AddressFamily))
            {
                addresses = addresses.FindAll(one => one.AddressFamily == local.AddressFamily);
            }
            var tries = new List<Try>();
            int begins = 0, most = Math.Min(addresses.Count, Most);
            TimeSpan next = TimeSpan.Zero;
            try
            {
                while (begun.Elapsed < limit && !abandoned() && (begins < most || tries.Count > 0))
                {
                    if (begins < most && (tries.Count == 0 || begun.Elapsed >= next))
                    {
                        Begin(new IPEndPoint(addresses[begins++], port), local, tries);
                        next = begun.Elapsed + HeadStart;
                        continue;
                    }
                    int ended = WaitHandle.WaitAny(tries.ConvertAll(one => one.Pending.AsyncWaitHandle).ToArray(), Slice);
                    if (ended == WaitHandle.WaitTimeout)
                    {
                        continue;
                    }
                    Try over = tries[ended];
                    tries.RemoveAt(ended);
                    if (Stands(over))
                    {
                        return over.Socket;
                    }
                    next = TimeSpan.Zero;
                }
            }
            finally
            {
                tries.ForEach(one => one.Socket.Close());
            }
            return null;
        }

        /// <summary>Splits `host:port`, also with an IPv6 address in brackets.</summary>
        public static bool TrySplit(string address, out string host, out int port)
        {
            int colon = address.LastIndexOf(':');
            host = colon < 0 ? address : address.Substring(0, colon).TrimStart('[').TrimEnd(']');
            port = 0;
            return colon > 0 && int.TryParse(address.Substring(colon + 1), out port) && port > 0 && port <= ushort.MaxValue;
        }

        /// <summary>IPv6 and IPv4 in turn, beginning with the system's first choice.</summary>
        internal static List<IPAddress> InTurn(IPAddress[] found)
        {
            var turns = new List<IPAddress>(found.Length);
            var first = new Queue<IPAddress>();
            var other = new Queue<IPAddress>();
            foreach (IPAddress address in found)
            {
                (address.AddressFamily == found[0].AddressFamily ? first : other).Enqueue(address);
            }
            while (first.Count + other.Count > 0)
            {
                if (first.Count > 0)
                {
                    turns.Add(first.Dequeue());
                }
                if (other.Count > 0)
                {
                    turns.Add(other.Dequeue());
                }
            }
            return turns;
        }

        private IPAddress[] LookUp(string host)
        {
            IPAddress literal;
            if (IPAddress.TryParse(host, out literal))
            {
                return new[] { literal };
            }
            try
            {
                IAsyncResult pending = Dns.BeginGetHostAddresses(host, null, null);
                return Wait(pending, limit) ? Dns.EndGetHostAddresses(pending) : new IPAddress[0];
            }
            catch (SocketException)
            {
                return new IPAddress[0];
            }
        }

        private void Begin(IPEndPoint to, IPAddress local, List<Try> tries)
        {
            Socket socket = null;
            IAsyncResult pending = null;
            try
            {
                socket = new Socket(to.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
                if (local != null && local.AddressFamily == to.AddressFamily)
                {
                    socket.Bind(new IPEndPoint(local, 0));
                }
                if (sendBuffer > 0)
                {
                    socket.SendBufferSize = sendBuffer;
                }
                pending = socket.BeginConnect(to, null, null);
                tries.Add(new Try { Socket = socket, Pending = pending });
            }
            catch (SocketException)
            {
                // Unreachable, no such family here: the next address.
            }
            finally
            {
                if (socket != null && pending == null)
                {
                    socket.Close();
                }
            }
        }

        /// <summary>Whether a try that has ended came to something; its socket is closed otherwise.</summary>
        private static bool Stands(Try over)
        {
            bool stands = false;
            try
            {
                over.Socket.EndConnect(over.Pending);
                Prepare(over.Socket);
                stands = true;
            }
            catch (SocketException)
            {
                // Refused, or unreachable.
            }
            finally
            {
                if (!stands)
                {
                    over.Socket.Close();
                }
            }
            return stands;
        }

        /// <summary>What every link's socket is.</summary>
        public static void Prepare(Socket socket)
        {
            socket.NoDelay = true;
            socket.Blocking = false;
        }

        private bool Wait(IAsyncResult pending, TimeSpan until)
        {
            while (!pending.AsyncWaitHandle.WaitOne(Slice))
            {
                if (begun.Elapsed >= until || abandoned())
                {
                    return false;
                }
            }
            return true;
        }
    }
}
