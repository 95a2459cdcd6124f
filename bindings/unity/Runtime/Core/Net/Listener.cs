using System;
using System.Net;
using System.Net.Sockets;
using System.Threading;

namespace Unbroken.Net
{
    /// <summary>Accepts connections on a thread of its own and hands them on.</summary>
    internal sealed class Listener : IDisposable
    {
        /// <summary>How often it looks whether it is to end, in microseconds.</summary>
        private const int LookUpUs = 100000;

        private readonly Socket socket;
        private readonly Action<Socket> accepted;
        private readonly Thread thread;
        private volatile bool ending;

        /// <exception cref="SocketException">The port cannot be had.</exception>
        public Listener(IPEndPoint at, Action<Socket> accepted)
        {
            this.accepted = accepted;
            socket = new Socket(at.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            try
            {
                if (at.Address.Equals(IPAddress.IPv6Any))
                {
                    socket.DualMode = true;
                }
                socket.Bind(at);
                socket.Listen(128);
            }
            catch (Exception)
            {
                socket.Close();
                throw;
            }
            socket.Blocking = false;
            thread = new Thread(Run, 256 << 10) { IsBackground = true, Name = "unbroken listener" };
            thread.Start();
        }

        public IPEndPoint Address { get { return (IPEndPoint)socket.LocalEndPoint; } }

        public void Dispose()
        {
            ending = true;
            thread.Join();
            socket.Close();
        }

        private void Run()
        {
            while (!ending)
            {
                try
                {
                    if (socket.Poll(LookUpUs, SelectMode.SelectRead))
                    {
                        Accept();
                    }
                }
                catch (ThreadAbortException)
                {
                    // The Unity editor unloads its scripts.
                    return;
                }
                catch (Exception)
                {
                    // Gone before it was accepted, or out of descriptors or memory: give others time to end. An exception that left this thread
                    // would end the process.
                    Thread.Sleep(20);
                }
            }
        }

        private void Accept()
        {
            Socket one = socket.Accept();
            try
            {
                Dialler.Prepare(one);
            }
            catch (SocketException)
            {
                one.Close();
                return;
            }
            accepted(one);
        }
    }
}
