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
    /// <summary>What a FileStore asks of its disk, and what it does when that is full.</summary>
    [TestFixture]
    public class FileStoreDiskTests
    {
        /// <summary>A file that knows what of it may not be on the disk yet, and whose disk can be full.</summary>
        private sealed class Watched : FileStream
        {
            private readonly Disk disk;
            public bool Dirty;

            public Watched(string path, Disk disk) : base(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1)
            {
                this.disk = disk;
            }

            public override void Write(byte[] array, int offset, int count)
            {
                Dirty = true;
                if (disk.Full)
                {
                    base.Write(array, offset, count / 2);
                    throw new IOException("the disk is full");
                }
                base.Write(array, offset, count);
            }

            public override void Flush(bool flushToDisk)
            {
                base.Flush(flushToDisk);
                Dirty &= !flushToDisk;
                disk.Flushes += flushToDisk ? 1 : 0;
            }

            /// <summary>As Mono's own: it tries once more to write what it could not, and says that it could not, when it has closed the file.</summary>
            protected override void Dispose(bool disposing)
            {
                base.Dispose(disposing);
                if (disposing && disk.Full)
                {
                    throw new IOException("the disk is full");
                }
            }

            public override void SetLength(long value)
            {
                // What was finished is emptied when the other one has everything for certain.
                disk.LostSomething |= Length > 0 && value == 0 && !Dirty && disk.Files.Any(file => file != this && (file.Dirty || file.Length == 0));
                disk.Emptied += Length > 0 && value == 0 ? 1 : 0;
                base.SetLength(value);
            }
        }

        private sealed class Disk
        {
            public readonly List<Watched> Files = new List<Watched>();
            public bool Full, LostSomething;
            public int Flushes, Emptied;

            public FileStore Open(string path)
            {
                Files.Clear();
                return new FileStore(path, name =>
                {
                    Files.Add(new Watched(name, this));
                    return Files.Last();
                });
            }

            public bool Dirty { get { return Files.Any(file => file.Dirty); } }
        }

        private string folder, path;

        [SetUp]
        public void Make_a_folder()
        {
            folder = Path.Combine(Path.GetTempPath(), "unbroken-disk-" + Guid.NewGuid().ToString("N"));
            Directory.CreateDirectory(folder);
            path = Path.Combine(folder, "sessions");
        }

        [TearDown]
        public void Remove_it()
        {
            Directory.Delete(folder, true);
        }

        private static StoreCall Put(ulong token, Action<StoreCall> done)
        {
            return new StoreCall
            {
                Op = StoreOp.Put, Key = 1, Expect = token == 1 ? RecordKind.None : RecordKind.Parked, ExpectToken = token - 1,
                Record = RecordKind.Parked, Token = token, LifeUs = 3600000000, Data = new byte[3000], Done = done,
            };
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

        private static StoreCall Peek(FileStore store)
        {
            return Ask(store, new StoreCall { Op = StoreOp.Peek, Key = 1 });
        }

        [Test]
        public void Nothing_is_confirmed_before_it_is_on_the_disk()
        {
            const int Puts = 2000;
            var disk = new Disk();
            using (FileStore store = disk.Open(path))
            {
                int early = 0, done = 0;
                for (ulong token = 1; token <= Puts; token++)
                {
                    // On the store's thread, which writes nothing meanwhile.
                    store.Submit(Put(token, call =>
                    {
                        early += disk.Dirty ? 1 : 0;
                        done += call.Reply == ReplyKind.Done ? 1 : 0;
                    }));
                    if (token % 50 == 0)
                    {
                        Peek(store);
                    }
                }
                Peek(store);
                Assert.AreEqual(0, early);
                Assert.AreEqual(Puts, done);
                Assert.GreaterOrEqual(disk.Flushes, Puts / 50);
                Assert.Greater(disk.Emptied, 2);
                Assert.IsFalse(disk.LostSomething);
            }
        }

        [Test]
        public void A_full_disk_is_told_and_got_over()
        {
            var disk = new Disk();
            using (FileStore store = disk.Open(path))
            {
                Assert.AreEqual(ReplyKind.Done, Ask(store, Put(1, null)).Reply);
                disk.Full = true;
                // Whether it was done is not known; what comes then certainly is not.
                Assert.AreEqual(ReplyKind.Failed, Ask(store, Put(2, null)).Reply);
                StringAssert.Contains("full", store.Failure.Message);
                Assert.AreEqual(ReplyKind.Unavailable, Ask(store, Put(3, null)).Reply);
                Assert.AreEqual(ReplyKind.Unavailable, Peek(store).Reply);
                disk.Full = false;
                ulong stands = Peek(store).FoundToken;
                Assert.AreEqual(2, stands);
                Assert.IsNull(store.Failure);
                Assert.AreEqual(ReplyKind.Done, Ask(store, Put(3, null)).Reply);
            }
            using (FileStore store = disk.Open(path))
            {
                Assert.AreEqual(3, Peek(store).FoundToken);
                Assert.AreEqual(0, store.Dropped);
            }
            Assert.IsFalse(disk.LostSomething);
        }

        [Test]
        public void A_server_that_ends_while_the_disk_is_full_is_not_alive()
        {
            Guid me = Guid.NewGuid();
            var disk = new Disk();
            using (FileStore store = disk.Open(path))
            {
                Ask(store, new StoreCall { Op = StoreOp.Lease, Owner = me, LifeUs = 3600000000 });
                StoreCall live = Put(1, null);
                live.Record = RecordKind.Live;
                live.Owner = me;
                Ask(store, live);
                Assert.IsTrue(Peek(store).OwnerAlive);
                disk.Full = true;
                Ask(store, Put(2, null));
                Ask(store, new StoreCall { Op = StoreOp.Put, Key = 2, Record = RecordKind.Parked, Token = 1, LifeUs = 3600000000 });
                store.Abandon(me);
                Assert.AreEqual(ReplyKind.Unavailable, Peek(store).Reply);
                disk.Full = false;
                StoreCall found = Peek(store);
                Assert.AreEqual(me, found.FoundOwner);
                Assert.IsFalse(found.OwnerAlive);
            }
        }

        [Test]
        public void A_store_is_closed_and_so_are_others_though_the_disk_is_full()
        {
            var disk = new Disk();
            // Whoever is older is disposed later.
            Ends.Listen();
            FileStore store = disk.Open(path);
            disk.Full = true;
            Ask(store, Put(1, null));
            LiveObjects.DisposeAll();
            Assert.AreEqual(0, LiveObjects.Count);
            Assert.IsFalse(disk.Files.Any(file => file.CanWrite));
        }

        [Test]
        public void What_was_confirmed_is_there_if_the_process_dies_while_the_disk_is_full()
        {
            var disk = new Disk();
            using (FileStore store = disk.Open(path))
            {
                Ask(store, Put(1, null));
                disk.Full = true;
                Ask(store, Put(2, null));
                Ask(store, Put(3, null));
            }
            disk.Full = false;
            using (FileStore store = disk.Open(path))
            {
                // The second was confirmed to nobody.
                Assert.That(Peek(store).FoundToken, Is.InRange(1, 2));
            }
        }
    }
}
