using System;
using System.IO;
using System.Linq;
using System.Text.RegularExpressions;
using NUnit.Framework;

namespace Unbroken.Tests
{
    /// <summary>What stays behind after many sessions and many cuts: nothing. Linux only, as it reads /proc.</summary>
    [TestFixture]
    public class SoakTests
    {
        private struct Usage
        {
            public long Managed, Resident;
            public int Threads, Sockets, Descriptors;

            public override string ToString()
            {
                return string.Format("{0} KiB managed, {1} KiB resident, {2} threads, {3} sockets, {4} descriptors",
                    Managed >> 10, Resident, Threads, Sockets, Descriptors);
            }
        }

        private static Usage Measure()
        {
            for (int i = 0; i < 3; i++)
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            }
            string status = File.ReadAllText("/proc/self/status");
            return new Usage
            {
                Managed = GC.GetTotalMemory(true),
                Resident = long.Parse(Regex.Match(status, @"VmRSS:\s+(\d+)").Groups[1].Value),
                Threads = Directory.GetDirectories("/proc/self/task").Count(task => Name(task).StartsWith("unbroken")),
                Sockets = Directory.GetFiles("/proc/self/fd").Count(IsSocket),
                Descriptors = Directory.GetFiles("/proc/self/fd").Length,
            };
        }

        /// <summary>What was in use before a round and after it; up to three rounds, until one makes nothing that stays. What leaks does so in each; what the
        /// runtime makes once, and sometimes late, does not.</summary>
        private static void Grows(Action round, out Usage before, out Usage after)
        {
            int left = 3;
            after = Measure();
            do
            {
                before = after;
                round();
                after = Measure();
                Console.WriteLine("before: {0}\nafter:  {1}", before, after);
            }
            while (after.Managed - before.Managed >= 64 << 10 && --left > 0);
        }

        private static string Name(string task)
        {
            try
            {
                return File.ReadAllText(task + "/comm");
            }
            catch (IOException)
            {
                return "";
            }
        }

        private static bool IsSocket(string descriptor)
        {
            try
            {
                return new Mono.Unix.UnixSymbolicLinkInfo(descriptor).ContentsPath.StartsWith("socket:");
            }
            catch (Exception gone) when (gone is InvalidOperationException || gone is IOException)
            {
                return false;
            }
        }

        /// <summary>A client that is cut, then says farewell or is just dropped.</summary>
        private static void OneLife(Peer server, bool farewell)
        {
            using (UnbrokenClient client = server.Connect())
            {
                int echoed = 0;
                client.MessageReceived += (message, number) => echoed++;
                for (int i = 1; i <= 4; i++)
                {
                    client.Send(new byte[100]);
                    int wanted = i;
                    Assert.IsTrue(Ends.Until(() => echoed == wanted, 20, client.Pump));
                    client.CutLinks();
                }
                if (farewell)
                {
                    var closed = client.DisconnectAsync(0);
                    Assert.IsTrue(Ends.Until(() => closed.IsCompleted, 20, client.Pump));
                }
            }
        }

        [Test]
        public void Sessions_come_and_go_and_nothing_stays()
        {
            using (Peer server = Peer.Server(""))
            {
                for (int i = 0; i < 10; i++)
                {
                    OneLife(server, i % 2 == 0);
                }
                Usage before = Measure();
                for (int i = 0; i < 60; i++)
                {
                    OneLife(server, i % 2 == 0);
                }
                Usage after = Measure();
                Console.WriteLine("before: {0}\nafter:  {1}", before, after);
                Assert.AreEqual(before.Threads, after.Threads);
                Assert.AreEqual(before.Sockets, after.Sockets);
                Assert.Less(after.Managed - before.Managed, 64 << 10);
                // The allocator keeps pages; 60 sessions of some 100 KiB and 240 links with 32 KiB buffers would show.
                Assert.Less(after.Resident - before.Resident, 4 << 10);
            }
        }

        [Test]
        public void One_long_session_stays_flat()
        {
            using (UnbrokenServer server = Ends.Listen())
            using (UnbrokenClient client = Ends.Connect(server))
            {
                int received = 0, sent = 0;
                var message = new byte[200];
                server.MessageReceived += (peer, bytes, number) => peer.TrySend(bytes);
                client.MessageReceived += (bytes, number) => received++;
                Action<int> talk = count =>
                {
                    for (int goal = sent + count; received < goal;)
                    {
                        for (int i = 0; i < 50 && sent < goal && sent - received < 500; i++)
                        {
                            sent += client.TrySend(message) == Status.Ok ? 1 : 0;
                        }
                        server.Pump();
                        client.Pump();
                    }
                    client.CutLinks();
                };
                Action<int> rounds = times =>
                {
                    for (int i = 0; i < times; i++)
                    {
                        talk(2000);
                    }
                    Assert.IsTrue(Ends.Until(() => client.Links == 1 && server.Links == 1, 10, server.Pump, client.Pump));
                };
                rounds(10);
                Usage before, after;
                Grows(() => rounds(40), out before, out after);
                Console.WriteLine("{0} messages, {1} links", received, client.Stats.Links);
                Assert.Greater(client.Stats.Links, 25);
                Assert.LessOrEqual(after.Threads, before.Threads);
                Assert.LessOrEqual(after.Sockets, before.Sockets);
                Assert.Less(after.Managed - before.Managed, 64 << 10);
                Assert.Less(after.Resident - before.Resident, 4 << 10);
            }
        }

        [Test]
        public void Servers_that_are_restarted_from_a_file_leave_nothing_behind()
        {
            string folder = Path.Combine(Path.GetTempPath(), "unbroken-soak-" + Guid.NewGuid().ToString("N"));
            Directory.CreateDirectory(folder);
            try
            {
                string path = Path.Combine(folder, "sessions");
                var echo = new KeptEcho(path, Durability.Durable, 0);
                int port = echo.Server.Address.Port, echoed = 0;
                using (var client = new UnbrokenClient("127.0.0.1", port, Ends.Client()))
                {
                    client.MessageReceived += (message, number) => echoed++;
                    Action<int> restart = times =>
                    {
                        for (int i = 0; i < times; i++)
                        {
                            int wanted = echoed + 1;
                            client.Send(new byte[100]);
                            Assert.IsTrue(Ends.Until(() => echoed == wanted, 30, echo.Server.Pump, client.Pump));
                            // Every second one is ended without a word.
                            Assert.IsTrue(i % 2 == 0 || echo.Server.Leave(TimeSpan.FromSeconds(30)));
                            echo.Dispose();
                            echo = new KeptEcho(path, Durability.Durable, port);
                        }
                        Assert.IsTrue(Ends.Until(() => client.Links == 1 && echo.Server.Links == 1, 30, echo.Server.Pump, client.Pump));
                    };
                    restart(40);
                    Usage before, after;
                    Grows(() => restart(40), out before, out after);
                    Assert.AreEqual(before.Threads, after.Threads);
                    Assert.AreEqual(before.Sockets, after.Sockets);
                    Assert.AreEqual(before.Descriptors, after.Descriptors);
                    Assert.Less(after.Managed - before.Managed, 64 << 10);
                    Assert.Less(after.Resident - before.Resident, 4 << 10);
                }
                echo.Dispose();
            }
            finally
            {
                Directory.Delete(folder, true);
            }
        }
    }
}
