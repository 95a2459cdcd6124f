using System;
using System.Diagnostics;
using System.IO;
using System.Threading;
using NUnit.Framework;

namespace Unbroken.Tests
{
    /// <summary>C# servers that are restarted from their file under a Rust client that counts.</summary>
    [TestFixture]
    public class RestartTests
    {
        private string folder, path;

        [SetUp]
        public void Make_a_folder()
        {
            folder = Path.Combine(Path.GetTempPath(), "unbroken-restart-" + Guid.NewGuid().ToString("N"));
            Directory.CreateDirectory(folder);
            path = Path.Combine(folder, "sessions");
        }

        [TearDown]
        public void Nothing_is_left_alive()
        {
            Directory.Delete(folder, true);
            int left = LiveObjects.Count;
            LiveObjects.DisposeAll();
            Assert.AreEqual(0, left);
        }

        [TestCase(Durability.SwapOut)]
        [TestCase(Durability.Durable)]
        public void A_server_that_leaves_and_comes_back_loses_nothing(Durability durability)
        {
            const int Restarts = 6;
            const long Messages = 10000;
            var echo = new KeptEcho(path, durability, 0);
            int port = echo.Server.Address.Port, swappedOut = 0, restored = 0;
            long taken = 0;
            try
            {
                using (var client = new Peer("client " + port + " --messages " + Messages + " --cuts 20 --every 100 --handovers " + Restarts))
                {
                    for (int restart = 1; restart <= Restarts; restart++)
                    {
                        long goal = restart * Messages / (Restarts + 1);
                        Assert.IsTrue(Ends.Until(() => taken + echo.Taken >= goal, 60, echo.Server.Pump),
                            "before restart {0}: {1} of {2} taken, {3} restored, {4} links", restart, taken + echo.Taken, goal, echo.Restored, echo.Server.Links);
                        Assert.IsFalse(client.HasEnded);
                        Assert.IsTrue(echo.Server.Leave(TimeSpan.FromSeconds(30)));
                        taken += echo.Taken;
                        swappedOut += echo.SwappedOut;
                        restored += echo.Restored;
                        Assert.AreEqual(0, echo.Server.Peers);
                        echo.Dispose();
                        echo = new KeptEcho(path, durability, port);
                    }
                    Assert.IsTrue(Ends.Until(() => client.HasEnded, 120, echo.Server.Pump));
                    Console.WriteLine("{0}, {1} restarts", client.Rest().Trim(), Restarts);
                    Assert.AreEqual(0, client.ExitCode);
                    Assert.IsTrue(Ends.Until(() => echo.Left == 1, 20, echo.Server.Pump));
                }
                Assert.AreEqual(Restarts, swappedOut);
                Assert.AreEqual(Restarts, restored + echo.Restored);
                Assert.AreEqual(CloseReason.Peer, echo.LastLeft.Reason);
                Assert.GreaterOrEqual(taken + echo.Taken, Messages);
            }
            finally
            {
                echo.Dispose();
            }
        }

        /// <summary>A KeptServer process.</summary>
        private Process Start(Durability durability, ref int port)
        {
            var process = Process.Start(new ProcessStartInfo("mono", "KeptServer.exe " + path + " " + durability + " " + port)
            {
                UseShellExecute = false, RedirectStandardInput = true, RedirectStandardOutput = true,
            });
            port = int.Parse(process.StandardOutput.ReadLine());
            return process;
        }

        private static void Kill(Process process)
        {
            process.Kill();
            process.WaitForExit();
            process.Dispose();
        }

        [Test]
        public void A_durable_server_that_is_killed_loses_nothing()
        {
            const int Kills = 5;
            int port = 0;
            Process server = Start(Durability.Durable, ref port);
            try
            {
                using (var client = new Peer("client " + port + " --messages 10000 --cuts 10 --every 150 --handovers " + Kills + " --tell 1500"))
                {
                    // The client tells of its progress, line by line.
                    for (int kill = 0; kill < Kills; kill++)
                    {
                        StringAssert.EndsWith("so far", client.Line());
                        Kill(server);
                        server = Start(Durability.Durable, ref port);
                    }
                    Assert.IsTrue(Ends.Until(() => client.HasEnded, 120));
                    string said = client.Rest().Trim();
                    Console.WriteLine("{0}, {1} kills", said.Substring(said.LastIndexOf('\n') + 1), Kills);
                    Assert.AreEqual(0, client.ExitCode);
                }
                // And its file is its own while it lives.
                Assert.Throws<IOException>(() => new FileStore(path).Dispose());
                server.StandardInput.Close();
                Assert.IsTrue(server.WaitForExit(30000));
                Assert.AreEqual(0, server.ExitCode);
            }
            finally
            {
                if (!server.HasExited)
                {
                    Kill(server);
                }
            }
        }

        [Test]
        public void A_server_that_only_swaps_out_says_what_a_kill_has_cost()
        {
            int port = 0;
            Process server = Start(Durability.SwapOut, ref port);
            try
            {
                using (var client = new UnbrokenClient("127.0.0.1", port, Ends.Client()))
                {
                    SessionEvent? failed = null;
                    int echoed = 0;
                    client.HandoverFailed += happened => failed = happened;
                    client.MessageReceived += (message, number) => echoed++;
                    client.Send(new byte[10]);
                    Assert.IsTrue(Ends.Until(() => echoed == 1 && client.Acked == 1, 20, client.Pump));
                    Kill(server);
                    server = Start(Durability.SwapOut, ref port);
                    Assert.IsTrue(Ends.Until(() => failed.HasValue, 30, client.Pump));
                    Assert.AreEqual(HandoverFailure.OwnerCrashed, failed.Value.Failure);
                    Assert.AreEqual(1, failed.Value.Acked);
                }
            }
            finally
            {
                Kill(server);
            }
        }
    }
}
