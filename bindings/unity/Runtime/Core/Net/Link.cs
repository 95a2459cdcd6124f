using System;
using System.Buffers;
using System.Net.Sockets;
using System.Threading;

namespace Unbroken.Net
{
    /// <summary>
    /// One connection, and the thread that opens and reads it. That thread alone closes the socket; others end a link by shutting it down, which
    /// wakes the reader. The fields below the line are guarded by the loop's gate.
    /// </summary>
    internal sealed class Link
    {
        /// <summary>What a TCP receive takes at most; a record has up to 16 KiB.</summary>
        private const int Buffer = 32 << 10;
        /// <summary>What a socket that is writable takes at once, whatever the system.</summary>
        private const int Piece = 2 << 10;
        /// <summary>How long a link that this end has closed still listens, so that unread bytes do not turn its FIN into a reset.</summary>
        private const ulong LingerUs = 2000000;
        /// <summary>How often a silent reader looks up, in microseconds.</summary>
        private const int LookUpUs = 500000;
        private const int Stack = 256 << 10;

        public readonly ulong Id;
        private readonly SocketLoop loop;
        private readonly Func<Link, Socket> open;
        private readonly Thread thread;

        // ----

        private Socket socket;
        /// <summary>The end has been told that this link is gone, or has itself let go of it.</summary>
        public bool Ended;
        /// <summary>The rest of an output that the socket did not take; null if there is none.</summary>
        private byte[] waiting;
        private int taken, length;
        /// <summary>When what waits is tried again.</summary>
        public ulong RetryAt;
        private ulong lingerUntil = ulong.MaxValue;

        public Link(SocketLoop loop, ulong id, Func<Link, Socket> open)
        {
            this.loop = loop;
            this.open = open;
            Id = id;
            thread = new Thread(Run, Stack) { IsBackground = true, Name = "unbroken link" };
        }

        public bool Blocked { get { return waiting != null; } }

        /// <summary>The socket, while the link is up.</summary>
        public Socket Socket { get { return socket; } }

        /// <summary>False if the system gives no thread.</summary>
        public bool TryStart()
        {
            try
            {
                thread.Start();
                return true;
            }
            catch (Exception refused) when (!(refused is ThreadStateException))
            {
                // Mono and .NET have different ones for it.
                return false;
            }
        }

        public bool Join(int milliseconds)
        {
            return thread == Thread.CurrentThread || thread.Join(milliseconds);
        }

        private void Run()
        {
            try
            {
                Socket opened = Open();
                if (loop.Opened(this, opened))
                {
                    ReadAll(opened);
                }
                loop.Down(this);
                if (opened != null)
                {
                    opened.Close();
                }
            }
            catch (ThreadAbortException)
            {
                // The Unity editor unloads its scripts.
            }
            catch (Exception fault)
            {
                loop.Fail(fault);
            }
            finally
            {
                loop.Gone(this);
            }
        }

        /// <summary>Whatever goes wrong is a connection that could not be had: the end dials again in time. Name look-ups alone throw half a dozen
        /// different exceptions, and a server may advise an address that is none.</summary>
        private Socket Open()
        {
            try
            {
                return open(this);
            }
            catch (Exception failed) when (!(failed is ThreadAbortException))
            {
                return null;
            }
        }

        /// <summary>What goes wrong with a socket is the end of its link, and of nothing else. Mono's Poll throws when another thread has shut the
        /// socket down in the same moment.</summary>
        private void ReadAll(Socket from)
        {
            try
            {
                Read(from);
            }
            catch (SocketException)
            {
                // The link is told down by whoever called.
            }
        }

        /// <summary>Until the peer's FIN, an error, or the end of the lingering.</summary>
        private void Read(Socket from)
        {
            var buffer = new byte[Buffer];
            while (Clock.Now < Volatile.Read(ref lingerUntil))
            {
                SocketError error;
                if (!from.Poll(LookUpUs, SelectMode.SelectRead))
                {
                    continue;
                }
                int count = from.Receive(buffer, 0, Buffer, SocketFlags.None, out error);
                if (error == SocketError.WouldBlock)
                {
                    continue;
                }
                // Mono calls it `Interrupted` when this end has shut the socket down.
                if (error != SocketError.Success || count <= 0)
                {
                    return;
                }
                loop.Input(this, buffer, count);
            }
        }

        // ---- under the gate ----

        public void Attach(Socket opened)
        {
            socket = opened;
        }

        public void Detach()
        {
            socket = null;
            DropWaiting();
        }

        /// <summary>Keeps what the socket did not take.</summary>
        public void Keep(byte[] buffer, int from, int count)
        {
            waiting = ArrayPool<byte>.Shared.Rent(count);
            System.Buffer.BlockCopy(buffer, from, waiting, 0, count);
            taken = 0;
            length = count;
        }

        /// <summary>Tries what waits. True if nothing waits any more.</summary>
        public bool Flush()
        {
            int sent = Send(socket, waiting, taken, length - taken);
            taken += Math.Max(sent, 0);
            if (taken < length)
            {
                return false;
            }
            DropWaiting();
            return true;
        }

        /// <summary>From now on the reader only waits for the peer's FIN, for a while.</summary>
        public void Linger()
        {
            Volatile.Write(ref lingerUntil, Clock.Now + LingerUs);
        }

        /// <summary>Ends the connection at once, by a reset where the system can.</summary>
        public void Cut()
        {
            try
            {
                if (socket != null)
                {
                    socket.LingerState = new LingerOption(true, 0);
                }
            }
            catch (SocketException)
            {
                // It is broken already.
            }
            Shutdown(SocketShutdown.Both);
        }

        public void Shutdown(SocketShutdown how)
        {
            try
            {
                if (socket != null)
                {
                    socket.Shutdown(how);
                }
            }
            catch (SocketException)
            {
                // It is broken already; its reader notices.
            }
        }

        private void DropWaiting()
        {
            if (waiting != null)
            {
                ArrayPool<byte>.Shared.Return(waiting);
                waiting = null;
            }
        }

        // ---- anywhere ----

        /// <summary>How many bytes the socket took; a broken one takes none, and its reader tells of it. In pieces, and each only when there is room
        /// for it: Mono's Send tries in a tight loop until it has sent all, even if the socket is not to block.</summary>
        public static int Send(Socket to, byte[] buffer, int from, int count)
        {
            int sent = 0;
            try
            {
                while (sent < count && to.Poll(0, SelectMode.SelectWrite))
                {
                    SocketError error;
                    int took = to.Send(buffer, from + sent, Math.Min(count - sent, Piece), SocketFlags.None, out error);
                    if (error != SocketError.Success)
                    {
                        break;
                    }
                    sent += took;
                }
            }
            catch (Exception broken) when (broken is SocketException || broken is ObjectDisposedException)
            {
                // Its reader notices, too, or was faster.
            }
            return sent;
        }
    }
}
