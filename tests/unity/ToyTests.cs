using System;
using System.Linq;
using System.Net;
using NUnit.Framework;
using Unbroken.Toy;

namespace Unbroken.Tests
{
    /// <summary>The sample's game, played without the engine.</summary>
    [TestFixture]
    public class ToyTests
    {
        private static UnbrokenClient Join(ToyServer server)
        {
            return new UnbrokenClient("127.0.0.1", server.Port, new ClientSettings(ToyServer.PublicKey) { Realm = "toy" });
        }

        [Test]
        public void Two_players_see_each_other_through_cuts()
        {
            using (var server = new ToyServer(new IPEndPoint(IPAddress.Loopback, 0)))
            using (UnbrokenClient first = Join(server), second = Join(server))
            {
                var time = System.Diagnostics.Stopwatch.StartNew();
                Func<double> clock = () => time.Elapsed.TotalSeconds;
                var games = new[] { new ToyGame(first, clock), new ToyGame(second, clock) };
                Action play = () =>
                {
                    server.Pump();
                    first.Pump();
                    second.Pump();
                    games[0].Frame();
                    games[1].Frame();
                };
                Assert.IsTrue(Ends.Until(() => games.All(game => game.Me != 0 && game.Players.Count() == 2), 10, play));
                Assert.AreNotEqual(games[0].Me, games[1].Me);
                for (int cut = 1; cut <= 5; cut++)
                {
                    double x = cut / 10.0;
                    // A late answer makes one more now and then.
                    int before = games[0].Handovers;
                    games[0].CutMyLink();
                    games[0].MoveTo(x, 1 - x);
                    Assert.IsTrue(Ends.Until(
                        () => games[1].Players.Any(player => player.Player == games[0].Me && player.X == x && player.Y == 1 - x), 10, play));
                    Assert.IsTrue(Ends.Until(() => games[0].Handovers > before, 10, play));
                }
                Assert.GreaterOrEqual(games[0].Handovers, 5);
                Assert.IsTrue(Ends.Until(() => games[0].News.StartsWith("handover " + games[0].Handovers + " took "), 10, play), games[0].News);
                Assert.IsTrue(Ends.Until(() => games[0].Latency.Count > 5, 10, play));
                Assert.Greater(games[0].Latency.Max, 0);
                second.Disconnect(0);
                Assert.IsTrue(Ends.Until(() => games[0].Players.Count() == 1 && server.Players == 1, 10, play));
            }
        }

        [Test]
        public void Nonsense_is_put_out()
        {
            using (var server = new ToyServer(new IPEndPoint(IPAddress.Loopback, 0)))
            using (UnbrokenClient client = Join(server))
            {
                SessionEvent? closed = null;
                client.Closed += happened => closed = happened;
                client.Send(new byte[3]);
                Assert.IsTrue(Ends.Until(() => closed.HasValue, 10, server.Pump, client.Pump));
                Assert.AreEqual(CloseReason.Kicked, closed.Value.Reason);
            }
        }

        [Test]
        public void The_graph_keeps_the_latest()
        {
            var graph = new LatencyGraph(3);
            Assert.AreEqual(0, graph.Max);
            for (int i = 1; i <= 5; i++)
            {
                graph.Add(i);
            }
            Assert.AreEqual(3, graph.Count);
            CollectionAssert.AreEqual(new[] { 3.0, 4.0, 5.0 }, new[] { graph[0], graph[1], graph[2] });
            Assert.AreEqual(5, graph.Max);
            Assert.Throws<ArgumentOutOfRangeException>(() => graph[3].ToString());
        }
    }
}
