using System.Net;
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
