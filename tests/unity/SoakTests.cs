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

        /// <summary>Of managed memory, in bytes. One buffer of a driver has as much, and is held for a while if a word on some stack looks like its
        /// address.</summary>
        private const int MostManaged = 64 << 10;
        /// <summary>Of the process's memory, in KiB. The allocator keeps pages; but sessions of some 100 KiB and links with 32 KiB buffers would show.</summary>
        private const int MostResident = 4 << 10;

        /// <summary>What was in use before a round and after it; up to five rounds, until one makes nothing that stays. What leaks does so in each; what the
        /// runtime makes once, and sometimes late, does not, nor does what it only seems to hold.</summary>
        private static void Grows(Action round, out Usage before, out Usage after, params Action[] pumps)
        {
            int left = 5;
            after = Measure();
            do
            {
                before = after;
                round();
                after = Settled(before, pumps);
                Console.WriteLine("before: {0}\nafter:  {1}", before, after);
            }
            while ((after.Managed - before.Managed >= MostManaged || after.Resident - before.Resident >= MostResident) && --left > 0);
        }

        /// <summary>Measures until no more is open than before, for ten seconds at most: a link's thread ends a moment after its link, and a spare connection
        /// is kept for some seconds.</summary>
        private static Usage Settled(Usage before, Action[] pumps)
        {
            Usage now = default(Usage);
            Ends.Until(
                () =>
                {
                    now = Measure();
                    return now.Threads <= before.Threads && now.Sockets <= before.Sockets && now.Descriptors <= before.Descriptors;
                },
                10, pumps);
            return now;
        }

        /// <summary>No more than before, but maybe less: what was open then may have been a spare.</summary>
        private static void IsFlat(Usage before, Usage after)
        {
            Assert.LessOrEqual(after.Threads, before.Threads);
            Assert.LessOrEqual(after.Sockets, before.Sockets);
            Assert.LessOrEqual(after.Descriptors, before.Descriptors);
            Assert.Less(after.Managed - before.Managed, MostManaged);
            Assert.Less(after.Resident - before.Resident, MostResident);
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
                Action<int> lives = times =>
                {
                    for (int i = 0; i < times; i++)
                    {
                        OneLife(server, i % 2 == 0);
                    }
                };
                lives(10);
                Usage before, after;
                Grows(() => lives(60), out before, out after);
                IsFlat(before, after);
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
                };
                Action<int> rounds = times =>
                {
                    for (int i = 0; i < times; i++)
                    {
                        talk(2000);
                        client.CutLinks();
                    }
                    // What comes back now came over a new link: the one that is there below is not the last that was cut.
                    talk(1);
                    Assert.IsTrue(Ends.Until(() => client.Links == 1 && server.Links == 1, 20, server.Pump, client.Pump));
                };
                rounds(10);
                Usage before, after;
                Grows(() => rounds(40), out before, out after, server.Pump, client.Pump);
                Console.WriteLine("{0} messages, {1} links", received, client.Stats.Links);
                Assert.Greater(client.Stats.Links, 25);
                IsFlat(before, after);
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
                    Action pump = () =>
                    {
                        echo.Server.Pump();
                        client.Pump();
                    };
                    Action say = () =>
                    {
                        int wanted = echoed + 1;
                        client.Send(new byte[100]);
                        Assert.IsTrue(Ends.Until(() => echoed == wanted, 30, pump));
                    };
                    Action<int> restart = times =>
                    {
                        for (int i = 0; i < times; i++)
                        {
                            say();
                            // Every second one is ended without a word.
                            Assert.IsTrue(i % 2 == 0 || echo.Server.Leave(TimeSpan.FromSeconds(30)));
                            echo.Dispose();
                            echo = new KeptEcho(path, Durability.Durable, port);
                        }
                        // The last server has the session now, and not only a connection.
                        say();
                        Assert.IsTrue(Ends.Until(() => client.Links == 1 && echo.Server.Links == 1, 30, pump));
                    };
                    restart(40);
                    Usage before, after;
                    Grows(() => restart(40), out before, out after, pump);
                    IsFlat(before, after);
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
