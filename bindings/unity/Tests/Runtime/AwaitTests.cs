using System;
using System.Collections.Generic;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;

namespace Unbroken.Tests
{
    /// <summary>Receiving with a token that can cancel.</summary>
    [TestFixture]
    public class AwaitTests
    {
        [TearDown]
        public void Nothing_is_left_alive()
        {
            int left = LiveObjects.Count;
            LiveObjects.DisposeAll();
            Assert.AreEqual(0, left);
        }

        [Test]
        public void A_token_does_not_remember_receivers_that_were_served()
        {
            const int Messages = 200;
            using (UnbrokenServer server = Ends.Listen())
            using (UnbrokenClient client = Ends.Connect(server))
            using (var game = new CancellationTokenSource())
            {
                server.MessageReceived += (peer, message, number) => peer.TrySend(message);
                Assert.IsTrue(Ends.Until(() => client.State == SessionState.Established, 10, server.Pump, client.Pump));
                var tasks = new List<WeakReference>();
                for (int i = 0; i < Messages; i++)
                {
                    Receive(server, client, game.Token, tasks);
                }
                AssertForgotten(tasks);
                Assert.IsFalse(game.IsCancellationRequested);
            }
        }

        [Test]
        public void A_client_does_not_remember_receivers_that_were_cancelled()
        {
            const int Times = 200;
            using (UnbrokenServer server = Ends.Listen())
            using (UnbrokenClient client = Ends.Connect(server))
            {
                // The first one waits all the time.
                Task<UnbrokenMessage> patient = client.ReceiveAsync();
                var tasks = new List<WeakReference>();
                for (int i = 0; i < Times; i++)
                {
                    Cancel(client, tasks);
                }
                AssertForgotten(tasks);
                server.Joined += peer => peer.TrySend(new byte[1]);
                Assert.IsTrue(Ends.Until(() => patient.IsCompleted, 10, server.Pump, client.Pump));
            }
        }

        /// <summary>Mono looks for references on the stack by what looks like one: a few may seem to be there.</summary>
        private static void AssertForgotten(List<WeakReference> tasks)
        {
            Assert.IsTrue(Ends.Until(() => tasks.Count(one => one.IsAlive) < tasks.Count / 10, 10, GC.Collect),
                "{0} of {1} are remembered", tasks.Count(one => one.IsAlive), tasks.Count);
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static void Receive(UnbrokenServer server, UnbrokenClient client, CancellationToken token, List<WeakReference> tasks)
        {
            Task<UnbrokenMessage> task = client.ReceiveAsync(token);
            Assert.IsFalse(task.IsCompleted);
            client.Send(new byte[1]);
            Assert.IsTrue(Ends.Until(() => task.IsCompleted, 10, server.Pump, client.Pump));
            task.Result.Dispose();
            tasks.Add(new WeakReference(task));
        }

        [MethodImpl(MethodImplOptions.NoInlining)]
        private static void Cancel(UnbrokenClient client, List<WeakReference> tasks)
        {
            using (var soon = new CancellationTokenSource())
            {
                Task<UnbrokenMessage> task = client.ReceiveAsync(soon.Token);
                soon.Cancel();
                Assert.IsTrue(task.IsCanceled);
                tasks.Add(new WeakReference(task));
            }
        }

        [Test]
        public void A_cancelled_receive_says_by_which_token()
        {
            using (UnbrokenServer server = Ends.Listen())
            using (UnbrokenClient client = Ends.Connect(server))
            using (var soon = new CancellationTokenSource())
            {
                Task<UnbrokenMessage> task = client.ReceiveAsync(soon.Token);
                soon.Cancel();
                var cancelled = Assert.Throws<TaskCanceledException>(() => task.GetAwaiter().GetResult());
                Assert.AreEqual(soon.Token, cancelled.CancellationToken);
            }
        }

        [Test]
        public void A_token_that_was_cancelled_before_cancels_at_once()
        {
            using (UnbrokenServer server = Ends.Listen())
            using (UnbrokenClient client = Ends.Connect(server))
            {
                Assert.IsTrue(client.ReceiveAsync(new CancellationToken(true)).IsCanceled);
            }
        }

        [Test]
        public void Cancelling_and_serving_at_the_same_time_do_not_wait_for_each_other()
        {
            const int Times = 300;
            using (UnbrokenServer server = Ends.Listen())
            using (UnbrokenClient client = Ends.Connect(server))
            {
                server.MessageReceived += (peer, message, number) => peer.TrySend(message);
                Assert.IsTrue(Ends.Until(() => client.State == SessionState.Established, 10, server.Pump, client.Pump));
                int cancelled = 0, got = 0;
                for (int i = 0; i < Times; i++)
                {
                    using (var soon = new CancellationTokenSource())
                    {
                        client.Send(new byte[1]);
                        Task<UnbrokenMessage> task = client.ReceiveAsync(soon.Token);
                        var canceller = new Thread(soon.Cancel);
                        canceller.Start();
                        Assert.IsTrue(Ends.Until(() => task.IsCompleted, 10, server.Pump, client.Pump));
                        canceller.Join();
                        cancelled += task.IsCanceled ? 1 : 0;
                        got += task.IsCanceled ? 0 : 1;
                    }
                }
                // No message was taken for a receiver that was gone: what was not got yet is still there.
                Assert.IsTrue(Ends.Until(
                    () =>
                    {
                        UnbrokenMessage message;
                        got += client.TryReceive(out message) ? 1 : 0;
                        return got == Times;
                    },
                    10, server.Pump, client.Pump));
            }
        }
    }
}
