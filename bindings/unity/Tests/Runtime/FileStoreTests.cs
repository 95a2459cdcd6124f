using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Threading;
using NUnit.Framework;
using Unbroken.Native;
using Unbroken.Store;

namespace Unbroken.Tests
{
    /// <summary>What a FileStore does with requests, and what it finds in its files after crashes.</summary>
    [TestFixture]
    public class FileStoreTests
    {
        private const ulong Hour = 3600UL * 1000 * 1000;
        private static readonly Guid Me = new Guid("00000000-0000-0000-0000-000000000001");
        private static readonly Guid Other = new Guid("00000000-0000-0000-0000-000000000002");
        private string folder, path;

        [SetUp]
        public void Make_a_folder()
        {
            folder = Path.Combine(Path.GetTempPath(), "unbroken-store-" + Guid.NewGuid().ToString("N"));
            Directory.CreateDirectory(folder);
            path = Path.Combine(folder, "sessions");
        }

        [TearDown]
        public void Remove_it()
        {
            Directory.Delete(folder, true);
        }

        private static StoreCall Ask(FileStore store, StoreCall call)
        {
            using (var answered = new ManualResetEventSlim())
            {
                call.Done = one => answered.Set();
                store.Submit(call);
                Assert.IsTrue(answered.Wait(20000));
                return call;
            }
        }

        private static StoreCall Put(ulong key, RecordKind expect, ulong expectToken, RecordKind record, ulong token, byte[] data = null)
        {
            return new StoreCall
            {
                Op = StoreOp.Put, Key = key, Expect = expect, ExpectToken = expectToken, ExpectOwner = Me, Record = record, Token = token,
                Owner = Me, LifeUs = Hour, LingerUs = Hour, Data = data ?? StoreCall.Nothing,
            };
        }

        private static StoreCall Peek(FileStore store, ulong key)
        {
            return Ask(store, new StoreCall { Op = StoreOp.Peek, Key = key });
        }

        [Test]
        public void A_record_changes_only_if_it_is_as_expected()
        {
            using (var store = new FileStore(path))
            {
                Assert.AreEqual(RecordKind.None, Peek(store, 1).Found);
                Assert.AreEqual(ReplyKind.Conflict, Ask(store, Put(1, RecordKind.Live, 1, RecordKind.Live, 2)).Reply);
                Assert.AreEqual(ReplyKind.Done, Ask(store, Put(1, RecordKind.None, 0, RecordKind.Live, 5, Ends.Bytes("a"))).Reply);
                Assert.AreEqual(ReplyKind.Conflict, Ask(store, Put(1, RecordKind.None, 0, RecordKind.Live, 6)).Reply);
                Assert.AreEqual(ReplyKind.Conflict, Ask(store, Put(1, RecordKind.Live, 4, RecordKind.Live, 6)).Reply);
                Assert.AreEqual(ReplyKind.Conflict, Ask(store, Put(1, RecordKind.Parked, 5, RecordKind.Live, 6)).Reply);
                StoreCall another = Put(1, RecordKind.Live, 5, RecordKind.Live, 6);
                another.ExpectOwner = Other;
                Assert.AreEqual(ReplyKind.Conflict, Ask(store, another).Reply);
                StoreCall found = Peek(store, 1);
                Assert.AreEqual(ReplyKind.Peeked, found.Reply);
                Assert.AreEqual(RecordKind.Live, found.Found);
                Assert.AreEqual(5, found.FoundToken);
                Assert.AreEqual(Me, found.FoundOwner);
                Assert.AreEqual(Ends.Bytes("a"), found.FoundData);
                Assert.IsFalse(found.Expired || found.OwnerAlive);
                Assert.AreEqual(ReplyKind.Done, Ask(store, Put(1, RecordKind.Live, 5, RecordKind.Parked, 6)).Reply);
                Assert.AreEqual(Guid.Empty, Peek(store, 1).FoundOwner);
                Assert.AreEqual(ReplyKind.Done, Ask(store, Put(1, RecordKind.Parked, 6, RecordKind.Tomb, 7)).Reply);
                Assert.AreEqual(RecordKind.Tomb, Peek(store, 1).Found);
                Assert.AreEqual(RecordKind.None, Peek(store, 2).Found);
            }
        }

        [Test]
        public void A_step_back_of_the_machines_clock_is_ignored_and_time_goes_on()
        {
            const long Start = 1800000000000, Step = 3600000;
            var clock = new StoreClock();
            Assert.AreEqual(Start, clock.Read(Start, 0));
            Assert.AreEqual(Start + 10, clock.Read(Start + 10, 10));
            // Forward: so it says now. And back: as if nothing had been.
            Assert.AreEqual(Start + Step, clock.Read(Start + Step, 20));
            Assert.AreEqual(Start + Step + 10, clock.Read(Start + 30, 30));
            Assert.AreEqual(Start + Step + 20, clock.Read(Start - Step, 40));
        }

        [Test]
        public void A_parked_record_expires_before_it_is_gone_and_others_are_gone_at_once()
        {
            using (var store = new FileStore(path))
            {
                StoreCall parked = Put(1, RecordKind.None, 0, RecordKind.Parked, 1), live = Put(2, RecordKind.None, 0, RecordKind.Live, 1);
                parked.LifeUs = live.LifeUs = 1;
                Ask(store, parked);
                Ask(store, live);
                Assert.IsTrue(Ends.Until(() => Peek(store, 1).Expired && Peek(store, 2).Found == RecordKind.None, 10));
                Assert.AreEqual(RecordKind.Parked, Peek(store, 1).Found);
                Assert.AreEqual(ReplyKind.Conflict, Ask(store, Put(1, RecordKind.Parked, 1, RecordKind.Live, 2)).Reply);
                StoreCall anew = Put(1, RecordKind.None, 0, RecordKind.Parked, 1);
                anew.LifeUs = anew.LingerUs = 1;
                Assert.AreEqual(ReplyKind.Done, Ask(store, anew).Reply);
                Assert.IsTrue(Ends.Until(() => Peek(store, 1).Found == RecordKind.None, 10));
            }
        }

        [Test]
        public void Notes_reach_who_is_alive()
        {
            using (var store = new FileStore(path))
            {
                var note = new StoreCall { Op = StoreOp.Send, Owner = Me, Data = Ends.Bytes("note") };
                Assert.AreEqual(ReplyKind.Conflict, Ask(store, note).Reply);
                var lease = new StoreCall { Op = StoreOp.Lease, Owner = Me, LifeUs = Hour };
                Assert.AreEqual(ReplyKind.Done, Ask(store, lease).Reply);
                Ask(store, Put(1, RecordKind.None, 0, RecordKind.Live, 1));
                Assert.IsTrue(Peek(store, 1).OwnerAlive);
                var answered = new ManualResetEventSlim();
                var waits = new StoreCall { Op = StoreOp.Receive, Owner = Me, Done = one => answered.Set() };
                store.Submit(waits);
                // Nobody else waits behind it.
                Assert.AreEqual(ReplyKind.Done, Ask(store, lease).Reply);
                Assert.IsFalse(answered.IsSet);
                Assert.AreEqual(ReplyKind.Done, Ask(store, note).Reply);
                Assert.IsTrue(answered.Wait(10000));
                Assert.AreEqual(ReplyKind.Notes, waits.Reply);
                CollectionAssert.AreEqual(new[] { Ends.Bytes("note") }, waits.Notes);
                lease.LifeUs = 0;
                Ask(store, lease);
                Assert.IsFalse(Peek(store, 1).OwnerAlive);
                Assert.AreEqual(ReplyKind.Conflict, Ask(store, note).Reply);
            }
        }

        [Test]
        public void A_server_that_has_ended_is_not_alive_again_by_what_it_asked_for_before()
        {
            using (var store = new FileStore(path))
            using (var busy = new ManualResetEventSlim())
            using (var free = new ManualResetEventSlim())
            using (var answered = new ManualResetEventSlim())
            {
                Func<StoreCall> lease = () => new StoreCall { Op = StoreOp.Lease, Owner = Me, LifeUs = Hour, Done = one => { } };
                Ask(store, lease());
                Ask(store, Put(1, RecordKind.None, 0, RecordKind.Live, 1));
                // Answers come on the store's thread: what is asked for meanwhile comes to it together.
                store.Submit(new StoreCall
                {
                    Op = StoreOp.Peek, Key = 1,
                    Done = one =>
                    {
                        busy.Set();
                        free.Wait();
                    },
                });
                Assert.IsTrue(busy.Wait(20000));
                store.Submit(lease());
                store.Abandon(Me);
                var peek = new StoreCall { Op = StoreOp.Peek, Key = 1, Done = one => answered.Set() };
                store.Submit(peek);
                free.Set();
                Assert.IsTrue(answered.Wait(20000));
                Assert.AreEqual(Me, peek.FoundOwner);
                Assert.IsFalse(peek.OwnerAlive);
                Assert.IsFalse(Peek(store, 1).OwnerAlive);
            }
        }

        [Test]
        public void Who_waits_for_notes_is_answered_when_the_store_ends()
        {
            var answered = new ManualResetEventSlim();
            using (var store = new FileStore(path))
            {
                store.Submit(new StoreCall { Op = StoreOp.Receive, Owner = Me, Done = one => answered.Set() });
            }
            Assert.IsTrue(answered.IsSet);
        }

        [Test]
        public void A_user_has_one_session()
        {
            using (var store = new FileStore(path))
            {
                Func<ulong, ulong?> bind = key =>
                {
                    StoreCall call = Ask(store, new StoreCall { Op = StoreOp.Bind, User = "nina", Key = key, LifeUs = Hour });
                    Assert.AreEqual(ReplyKind.Bound, call.Reply);
                    return call.FoundKey;
                };
                Assert.AreEqual(null, bind(1));
                Assert.AreEqual(null, bind(1));
                Assert.AreEqual(1, bind(2));
            }
            using (var store = new FileStore(path))
            {
                Assert.AreEqual(2, Ask(store, new StoreCall { Op = StoreOp.Bind, User = "nina", Key = 3, LifeUs = Hour }).FoundKey);
            }
        }

        [Test]
        public void What_was_confirmed_is_there_after_a_restart_and_nobody_is_alive()
        {
            using (var store = new FileStore(path))
            {
                Ask(store, new StoreCall { Op = StoreOp.Lease, Owner = Me, LifeUs = Hour });
                Ask(store, Put(1, RecordKind.None, 0, RecordKind.Live, 1, new byte[100000]));
                Ask(store, Put(2, RecordKind.None, 0, RecordKind.Parked, 9, Ends.Bytes("two")));
            }
            for (int i = 0; i < 3; i++)
            {
                using (var store = new FileStore(path))
                {
                    Assert.AreEqual(0, store.Dropped);
                    StoreCall one = Peek(store, 1), two = Peek(store, 2);
                    Assert.AreEqual(RecordKind.Live, one.Found);
                    Assert.AreEqual(100000, one.FoundData.Length);
                    Assert.IsFalse(one.OwnerAlive);
                    Assert.AreEqual(RecordKind.Parked, two.Found);
                    Assert.AreEqual(9, two.FoundToken);
                    Assert.AreEqual(Ends.Bytes("two"), two.FoundData);
                }
            }
        }

        [Test]
        public void The_files_do_not_grow_with_the_writes()
        {
            using (var store = new FileStore(path))
            {
                var data = new byte[2000];
                int left = 5000;
                var last = new ManualResetEventSlim();
                for (ulong token = 0; token < 5000; token++)
                {
                    StoreCall put = Put(1, token == 0 ? RecordKind.None : RecordKind.Live, token, RecordKind.Live, token + 1, data);
                    put.Done = call =>
                    {
                        Assert.AreEqual(ReplyKind.Done, call.Reply);
                        if (Interlocked.Decrement(ref left) == 0)
                        {
                            last.Set();
                        }
                    };
                    store.Submit(put);
                    if (token % 100 == 99)
                    {
                        Assert.AreEqual(token + 1, Peek(store, 1).FoundToken);
                    }
                }
                Assert.IsTrue(last.Wait(60000));
            }
            Assert.Less(new FileInfo(path + ".0").Length + new FileInfo(path + ".1").Length, 3 << 20);
            using (var store = new FileStore(path))
            {
                Assert.AreEqual(5000, Peek(store, 1).FoundToken);
            }
        }

        [Test]
        public void One_store_has_the_file()
        {
            using (new FileStore(path))
            {
                Assert.Throws<IOException>(() => new FileStore(path).Dispose());
            }
            new FileStore(path).Dispose();
            Assert.Throws<DirectoryNotFoundException>(() => new FileStore(Path.Combine(folder, "none", "sessions")).Dispose());
        }

        // ---- after crashes ----

        /// <summary>The bytes of the file that counts, the name of that, and where each of three single writes of records 1, 2 and 3 ends.</summary>
        private byte[] ThreeWrites(out string file, out int[] ends)
        {
            string counts = null;
            ends = new int[4];
            using (var store = new FileStore(path))
            {
                counts = new[] { path + ".0", path + ".1" }.Single(name => new FileInfo(name).Length > 0);
                ends[0] = (int)new FileInfo(counts).Length;
                for (ulong key = 1; key <= 3; key++)
                {
                    Ask(store, Put(key, RecordKind.None, 0, RecordKind.Parked, key, Ends.Bytes("data " + key)));
                    ends[key] = (int)new FileInfo(counts).Length;
                }
            }
            file = counts;
            return File.ReadAllBytes(counts);
        }

        private void Lay(string file, byte[] bytes)
        {
            File.WriteAllBytes(file, bytes);
            File.WriteAllBytes(file == path + ".0" ? path + ".1" : path + ".0", new byte[0]);
        }

        /// <summary>Opens the store and wants records 1 to so many in it, and that the rest can be written.</summary>
        private void AssertHolds(int records, long dropped, string when)
        {
            using (var store = new FileStore(path))
            {
                Assert.AreEqual(dropped, store.Dropped, when);
                for (ulong key = 1; key <= 3; key++)
                {
                    StoreCall found = Peek(store, key);
                    bool there = key <= (ulong)records;
                    Assert.AreEqual(there ? RecordKind.Parked : RecordKind.None, found.Found, when);
                    Assert.AreEqual(there ? Ends.Bytes("data " + key) : StoreCall.Nothing, found.FoundData, when);
                    if (!there)
                    {
                        Assert.AreEqual(ReplyKind.Done, Ask(store, Put(key, RecordKind.None, 0, RecordKind.Live, 1)).Reply, when);
                    }
                }
            }
        }

        [Test]
        public void A_torn_write_is_dropped_wherever_it_was_torn()
        {
            string file;
            int[] ends;
            byte[] whole = ThreeWrites(out file, out ends);
            Assert.AreEqual(whole.Length, ends[3]);
            for (int length = ends[0]; length <= whole.Length; length++)
            {
                int records = Enumerable.Range(0, 4).Last(i => ends[i] <= length);
                Lay(file, whole.Take(length).ToArray());
                AssertHolds(records, length - ends[records], "cut to " + length);
                // The length of the file arrived, and the bytes did not.
                if (length > ends[2] && length < whole.Length)
                {
                    Lay(file, whole.Take(length).Concat(new byte[whole.Length - length]).ToArray());
                    AssertHolds(2, whole.Length - ends[2], "zeros from " + length);
                }
            }
        }

        [Test]
        public void A_damaged_file_is_refused_and_left_as_it_is()
        {
            string file;
            int[] ends;
            byte[] whole = ThreeWrites(out file, out ends);
            for (int at = 0; at < ends[2]; at++)
            {
                var damaged = (byte[])whole.Clone();
                damaged[at] ^= 0x20;
                Lay(file, damaged);
                try
                {
                    new FileStore(path).Dispose();
                    // The number of the log is the one thing that says nothing about sessions.
                    Assert.That(at, Is.InRange(16, 23));
                }
                catch (InvalidDataException refused)
                {
                    StringAssert.Contains("damaged", refused.Message);
                    StringAssert.Contains(path, refused.Message);
                    CollectionAssert.AreEqual(damaged, File.ReadAllBytes(file));
                }
            }
            File.WriteAllText(path + ".0", "something else altogether, and long enough to be a log");
            File.WriteAllText(path + ".1", "");
            Assert.Throws<InvalidDataException>(() => new FileStore(path).Dispose());
        }

        [Test]
        public void A_log_that_was_not_finished_does_not_count()
        {
            string file;
            int[] ends;
            byte[] whole = ThreeWrites(out file, out ends);
            string other = file == path + ".0" ? path + ".1" : path + ".0";
            // What a store makes of it when it begins a log of these tables, in the other file.
            new FileStore(path).Dispose();
            byte[] next = File.ReadAllBytes(other);
            Assert.AreEqual(0, new FileInfo(file).Length);
            for (int length = 0; length <= next.Length; length++)
            {
                File.WriteAllBytes(file, whole);
                File.WriteAllBytes(other, next.Take(length).ToArray());
                AssertHolds(3, 0, "of the new log, " + length);
            }
            // A later log that is whole counts, whatever the earlier one says and wherever they are.
            foreach (string later in new[] { other, file })
            {
                File.WriteAllBytes(later, next);
                File.WriteAllBytes(later == file ? other : file, whole.Take(ends[1]).ToArray());
                AssertHolds(3, 0, "both are whole");
            }
        }

        [Test]
        public void A_first_log_that_was_not_finished_is_an_empty_store()
        {
            new FileStore(path).Dispose();
            string file = new[] { path + ".0", path + ".1" }.Single(name => new FileInfo(name).Length > 0);
            byte[] empty = File.ReadAllBytes(file);
            for (int length = 0; length < empty.Length; length++)
            {
                Lay(file, empty.Take(length).ToArray());
                AssertHolds(0, 0, "cut to " + length);
                File.Delete(path + ".0");
                File.Delete(path + ".1");
            }
        }
    }
}
