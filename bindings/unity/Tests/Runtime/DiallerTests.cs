using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Threading;
using NUnit.Framework;
using Unbroken.Net;

namespace Unbroken.Tests
{
    [TestFixture]
    public class DiallerTests
    {
        [TestCase("game.example:7777", "game.example", 7777)]
        [TestCase("10.0.0.1:1", "10.0.0.1", 1)]
        [TestCase("[fe80::1]:65535", "fe80::1", 65535)]
        public void An_address_is_a_host_and_a_port(string address, string host, int port)
        {
            string foundHost;
            int foundPort;
            Assert.IsTrue(Dialler.TrySplit(address, out foundHost, out foundPort));
            Assert.AreEqual(host, foundHost);
            Assert.AreEqual(port, foundPort);
        }

        [TestCase("")]
        [TestCase("game.example")]
        [TestCase(":7777")]
        [TestCase("game.example:0")]
        [TestCase("game.example:65536")]
        [TestCase("game.example:http")]
        public void Anything_else_is_none(string address)
        {
            string host;
            int port;
            Assert.IsFalse(Dialler.TrySplit(address, out host, out port));
        }

        /// <summary>Calls with an address that takes no more connections, and does not say so.</summary>
        private static void BesideFull(Action<IPEndPoint> test)
        {
            var fillers = new List<Socket>();
            using (var full = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
            {
                full.Bind(new IPEndPoint(IPAddress.Parse("127.0.0.2"), 0));
                full.Listen(1);
                var at = (IPEndPoint)full.LocalEndPoint;
                try
                {
                    for (int i = 0; i < 4; i++)
                    {
                        fillers.Add(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp));
                        fillers[i].BeginConnect(at, null, null);
                    }
                    Thread.Sleep(100);
                    test(at);
                }
                finally
                {
                    fillers.ForEach(filler => filler.Close());
                }
            }
        }

        [Test]
        public void A_connection_may_take_however_long()
        {
            BesideFull(at =>
            {
                foreach (TimeSpan limit in new[] { Timeout.InfiniteTimeSpan, TimeSpan.MaxValue })
                {
                    var time = Stopwatch.StartNew();
                    Assert.IsNull(new Dialler(limit, 0, () => time.ElapsedMilliseconds > 500).Connect("127.0.0.2", at.Port, null));
                    Assert.Greater(time.ElapsedMilliseconds, 500);
                }
            });
        }

        /// <summary>As with an IPv6 that leads nowhere.</summary>
        [Test]
        public void An_address_that_swallows_everything_holds_nobody_up()
        {
            BesideFull(at =>
            {
                using (var alive = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
                {
                    alive.Bind(new IPEndPoint(IPAddress.Loopback, at.Port));
                    alive.Listen(1);
                    var time = Stopwatch.StartNew();
                    var dialler = new Dialler(Timeout.InfiniteTimeSpan, 0, () => time.ElapsedMilliseconds > 20000);
                    using (Socket connected = dialler.First(new List<IPAddress> { at.Address, at.Address, IPAddress.Loopback }, at.Port, null))
                    {
                        Assert.IsNotNull(connected);
                        Assert.AreEqual(IPAddress.Loopback, ((IPEndPoint)connected.RemoteEndPoint).Address);
                    }
                }
            });
        }

        [Test]
        public void An_address_that_refuses_gives_way_at_once()
        {
            using (var alive = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
            {
                alive.Bind(new IPEndPoint(IPAddress.Loopback, 0));
                alive.Listen(1);
                int port = ((IPEndPoint)alive.LocalEndPoint).Port;
                IPAddress nobody = IPAddress.Parse("127.0.0.3");
                var dialler = new Dialler(TimeSpan.FromSeconds(60), 0, () => false);
                using (Socket connected = dialler.First(new List<IPAddress> { nobody, nobody, IPAddress.Loopback }, port, null))
                {
                    Assert.IsNotNull(connected);
                }
                Assert.IsNull(new Dialler(TimeSpan.FromSeconds(60), 0, () => false).First(new List<IPAddress> { nobody }, port, null));
            }
        }

        /// <summary>Else a link would be on the system's network and count as one on the network that was asked for.</summary>
        [Test]
        public void Who_is_bound_to_a_network_dials_in_its_family()
        {
            using (var six = new Socket(AddressFamily.InterNetworkV6, SocketType.Stream, ProtocolType.Tcp))
            using (var four = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp))
            {
                four.Bind(new IPEndPoint(IPAddress.Loopback, 0));
                four.Listen(2);
                int port = ((IPEndPoint)four.LocalEndPoint).Port;
                six.DualMode = false;
                six.Bind(new IPEndPoint(IPAddress.IPv6Loopback, port));
                six.Listen(2);
                var addresses = new List<IPAddress> { IPAddress.IPv6Loopback, IPAddress.Loopback };
                IPAddress local = IPAddress.Parse("127.0.0.4");
                using (Socket connected = new Dialler(TimeSpan.FromSeconds(60), 0, () => false).First(addresses, port, local))
                {
                    Assert.AreEqual(local, ((IPEndPoint)connected.LocalEndPoint).Address);
                }
                // One that has only others is reached all the same.
                addresses.RemoveAt(1);
                using (Socket connected = new Dialler(TimeSpan.FromSeconds(60), 0, () => false).First(addresses, port, local))
                {
                    Assert.AreEqual(IPAddress.IPv6Loopback, ((IPEndPoint)connected.RemoteEndPoint).Address);
                }
            }
        }

        [Test]
        public void The_families_take_turns()
        {
            IPAddress a = IPAddress.Parse("::1"), b = IPAddress.Parse("::2"), c = IPAddress.Parse("127.0.0.1");
            CollectionAssert.AreEqual(new[] { a, c, b }, Dialler.InTurn(new[] { a, b, c }));
            CollectionAssert.AreEqual(new[] { c, a, b }, Dialler.InTurn(new[] { c, a, b }));
            CollectionAssert.IsEmpty(Dialler.InTurn(new IPAddress[0]));
        }
    }
}
