using System;
using System.Diagnostics;
using NUnit.Framework;

namespace Unbroken.Tests
{
    /// <summary>What a message and a call cost: garbage in bytes, as Mono counts it, and time. Only garbage is judged: it does not depend on the
    /// machine.</summary>
    [TestFixture]
    public class GarbageTests
    {
        private const int Rounds = 50000;
        /// <summary>The size of Mono's nursery, as MONO_GC_PARAMS sets it for these tests: when that much was allocated, it is collected.</summary>
        private const int Nursery = 256 << 10;
        /// <summary>No object is smaller.</summary>
        private const int SmallestObject = 16;

        /// <summary>Bytes that all threads allocate per round, at most. Counted in collections: Mono tells nothing finer about all threads. With
        /// so many rounds a single small object in each would be several of them.</summary>
        private static double PerRound(Action<int> run)
        {
            run(Rounds / 10);
            GC.Collect();
            int before = GC.CollectionCount(0);
            run(Rounds);
            return (GC.CollectionCount(0) - before + 1) * (double)Nursery / Rounds;
        }

        [Test]
        public void The_measure_sees_garbage()
        {
            object kept = null;
            double measured = PerRound(rounds =>
            {
                for (int i = 0; i < rounds; i++)
                {
                    kept = new object();
                }
            });
            GC.KeepAlive(kept);
            Assert.Greater(measured, SmallestObject);
        }

        [Test]
        public void A_message_through_a_session_leaves_no_garbage()
        {
            ServerSettings settings = Ends.Server();
            settings.AuthoriseAll = true;
            ulong now = 1000000;
            using (var endpoint = new UnbrokenEndpoint(settings, now))
            using (var session = new UnbrokenSession(Ends.Client(), now))
            using (var network = new UnbrokenLoopback(session, endpoint))
            {
                for (int i = 0; i < 100; i++, now += 1000)
                {
                    network.Step(now);
                }
                SessionId id = session.Id.Value;
                SessionEvent happened;
                while (session.PollEvent(out happened))
                {
                }
                var message = new byte[100];
                int received = 0;
                double garbage = PerRound(rounds =>
                {
                    ReadOnlySpan<byte> lent;
                    long number;
                    for (int i = 0; i < rounds; i++, now += 1000)
                    {
                        session.TrySend(message);
                        network.Step(now);
                        network.Step(now);
                        while (endpoint.TryReceive(id, out lent, out number))
                        {
                            endpoint.TrySend(id, lent);
                        }
                        while (session.TryReceive(out lent, out number))
                        {
                            received++;
                        }
                        while (session.PollEvent(out happened) | endpoint.PollEvent(out happened))
                        {
                        }
                    }
                });
                Console.WriteLine("session: at most {0:0.0} bytes of garbage per message and its echo, less than the smallest object", garbage);
                Assert.Greater(received, Rounds);
                Assert.Less(garbage, SmallestObject);
            }
        }

        [Test]
        public void A_message_through_a_client_leaves_no_garbage()
        {
            using (Peer server = Peer.Server(""))
            using (UnbrokenClient client = server.Connect())
            {
                Assert.IsTrue(Ends.Until(() => client.State == SessionState.Established, 10, client.Pump));
                var message = new byte[100];
                int received = 0, pulled = 0;
                double pushed = 0;
                MessageHandler count = (bytes, number) => received++;
                Action<int> talk = rounds =>
                {
                    for (int goal = received + rounds, sent = 0; received < goal;)
                    {
                        if (sent < rounds && client.TrySend(message) == Status.Ok)
                        {
                            sent++;
                        }
                        client.Wait(1);
                        client.Pump();
                        UnbrokenMessage one;
                        while (pulled < 0 && client.TryReceive(out one))
                        {
                            received++;
                            one.Dispose();
                        }
                    }
                };
                client.MessageReceived += count;
                pushed = PerRound(talk);
                client.MessageReceived -= count;
                pulled = -1;
                double drawn = PerRound(talk);
                Console.WriteLine(
                    "client, all its threads: at most {0:0.0} bytes of garbage per message and its echo by the event, {1:0.0} by TryReceive",
                    pushed, drawn);
                Assert.Less(pushed, SmallestObject);
                Assert.Less(drawn, SmallestObject);
            }
        }

        [Test]
        public void Calls_are_cheap()
        {
            using (var session = new UnbrokenSession(Ends.Client(), 0))
            {
                SessionEvent happened;
                while (session.PollEvent(out happened))
                {
                }
                var buffer = new byte[65536];
                SessionOutput output;
                while (session.PollOutput(buffer, 0, out output))
                {
                }
                Time("PollEvent, nothing there", () => session.PollEvent(out happened));
                Time("TryReceive, nothing there", () => Receive(session));
                Time("PollOutput, nothing there", () => session.PollOutput(buffer, 0, out output));
                Time("PollTimeout", () => session.PollTimeout());
                Time("State", () => session.State.GetHashCode());
            }
        }

        private static bool Receive(UnbrokenSession session)
        {
            ReadOnlySpan<byte> lent;
            long number;
            return session.TryReceive(out lent, out number);
        }

        /// <summary>The least and the middle of nine runs.</summary>
        private static void Time(string name, Action call)
        {
            const int Calls = 200000;
            var runs = new double[9];
            for (int run = 0; run < runs.Length; run++)
            {
                var time = Stopwatch.StartNew();
                for (int i = 0; i < Calls; i++)
                {
                    call();
                }
                runs[run] = time.Elapsed.TotalMilliseconds * 1e6 / Calls;
            }
            Array.Sort(runs);
            Console.WriteLine("{0}: {1:0} ns, median {2:0} ns", name, runs[0], runs[runs.Length / 2]);
            Assert.Less(runs[0], 100000, "a call takes longer than a frame can bear");
        }
    }
}
