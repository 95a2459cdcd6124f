using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Threading;

namespace Unbroken.Net
{
    /// <summary>
    /// Opens TCP connections. The addresses of a name are tried one after the other, the families in turn, so that a dead IPv6 path costs its
    /// share of the time and not all of it. All waiting is in slices, so that a dial that nobody wants any more ends soon.
    /// </summary>
    internal sealed class Dialler
    {
        private static readonly TimeSpan Slice = TimeSpan.FromMilliseconds(50);
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

        /// <summary>A connected, non-blocking socket, or null.</summary>
        public Socket Connect(string host, int port, IPAddress local)
        {
            List<IPAddress> addresses = InTurn(LookUp(host));
            for (int i = 0; i < addresses.Count && !abandoned(); i++)
            {
                var share = TimeSpan.FromTicks((limit - begun.Elapsed).Ticks / (addresses.Count - i));
                Socket socket = Try(new IPEndPoint(addresses[i], port), local, share);
                if (socket != null)
                {
                    return socket;
                }
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

        private Socket Try(IPEndPoint to, IPAddress local, TimeSpan share)
        {
            Socket socket = null, connected = null;
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
                IAsyncResult pending = socket.BeginConnect(to, null, null);
                if (Wait(pending, begun.Elapsed + share))
                {
                    socket.EndConnect(pending);
                    Prepare(socket);
                    connected = socket;
                }
            }
            catch (SocketException)
            {
                // Refused, unreachable, no such family here: the next address.
            }
            finally
            {
                if (socket != null && connected == null)
                {
                    socket.Close();
                }
            }
            return connected;
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
