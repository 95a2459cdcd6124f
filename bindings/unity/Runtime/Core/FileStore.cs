using System;
using System.Collections.Generic;
using System.IO;
using System.Threading;
using Unbroken.Native;
using Unbroken.Store;

namespace Unbroken
{
    /// <summary>
    /// Keeps a server's sessions in a file, so that they go on when the server is restarted: for one dedicated server on one machine.
    ///
    /// What it promises: whatever it has confirmed to the server was flushed to the disk before (an fsync for each batch of requests). So with
    /// <see cref="Durability.SwapOut"/> nothing is lost by a restart that begins with <see cref="UnbrokenServer.Leave"/>, and with
    /// <see cref="Durability.Durable"/> nothing is lost by a crash of the process or the machine, as long as the disk keeps what it was told to flush. A write
    /// that a crash has torn was confirmed to nobody, and is dropped. A file that is damaged elsewhere is refused. One that was
    /// exchanged for an older copy is found out by the clients: their sessions end as rolled back, none goes on with a hole in it.
    ///
    /// It is two files, PATH.0 and PATH.1. Changes are appended to one; when that is mostly outdated, what counts is written to the other, which takes over.
    /// All of it is in memory, too. Sessions are sealed with the server's cluster key: the files do not tell what is in them, and are worth nothing
    /// without it.
    ///
    /// One thread does the writing. Requests that come while it writes go out together, next.
    /// </summary>
    public sealed class FileStore : IDisposable
    {
        /// <summary>How long a server waits for notes of others before it asks again.</summary>
        private const int ReceiveMs = 5000;
        /// <summary>A log is begun anew when it is this much longer than twice what it holds, in bytes.</summary>
        private const long Slack = 1 << 20;
        /// <summary>Where the lock of other processes is: beyond any byte of the file.</summary>
        private const long LockAt = 1L << 40;

        private sealed class Waiter
        {
            public StoreCall Call;
            public long Until;
        }

        private readonly object door = new object();
        private readonly string path;
        private readonly FileStream[] files = new FileStream[2];
        private readonly StoreLog log = new StoreLog();
        private readonly Thread thread;
        // Under the door.
        private List<StoreCall> asked = new List<StoreCall>();
        private bool ending;
        private Exception failure;
        // The thread's own.
        private StoreTables tables;
        private readonly StoreClock clock = new StoreClock();
        private readonly List<Waiter> waiters = new List<Waiter>();
        private List<StoreCall> batch = new List<StoreCall>();
        private int current;
        private ulong epoch;
        private long end, begun;
        /// <summary>What is on the disk is not known to be what is in memory: the next batch begins a new log before anything else.</summary>
        private bool uncertain;

        /// <summary>Opens a store, or begins an empty one.</summary>
        /// <param name="path">Where; ".0" and ".1" are put behind it. The folder must be there.</param>
        /// <exception cref="IOException">It cannot be opened, or is used by another process.</exception>
        /// <exception cref="InvalidDataException">It is damaged, or of a newer version. Nothing was changed: put a copy in its place, or move the two files away
        /// to begin without sessions.</exception>
        public FileStore(string path)
            : this(path, file => new FileStream(file, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1))
        {
        }

        internal FileStore(string path, Func<string, FileStream> open)
        {
            this.path = path;
            try
            {
                for (int i = 0; i < files.Length; i++)
                {
                    files[i] = open(path + "." + i);
                    Lock(files[i]);
                }
                Open();
            }
            catch (Exception)
            {
                CloseFiles();
                throw;
            }
            thread = new Thread(Run) { IsBackground = true, Name = "unbroken store" };
            thread.Start();
            LiveObjects.Add(this);
        }

        /// <summary>Bytes at the end of the file that a crash had left unfinished, and that were dropped when it was opened. Usually 0.</summary>
        public long Dropped { get; private set; }

        /// <summary>Why the store cannot write at the moment, a full disk for example; null if it can. It tries again with each request.</summary>
        public Exception Failure
        {
            get { lock (door) { return failure; } }
        }

        /// <summary>Writes what was asked for and closes the files. Dispose of its servers before.</summary>
        public void Dispose()
        {
            LiveObjects.Remove(this);
            lock (door)
            {
                ending = true;
                Monitor.Pulse(door);
            }
            thread.Join();
            CloseFiles();
        }

        // ---- for servers ----

        /// <summary>Carries a request out, and tells of its outcome on another thread.</summary>
        internal void Submit(StoreCall call)
        {
            lock (door)
            {
                if (!ending)
                {
                    asked.Add(call);
                    Monitor.Pulse(door);
                    return;
                }
            }
            call.Answer(ReplyKind.Unavailable);
        }

        /// <summary>A server has ended: nobody waits for an answer of it, or for it to say that it is alive.</summary>
        internal void Abandon(Guid owner)
        {
            // Behind what it had asked for: a last sign of life would make it live on.
            Submit(new StoreCall { Op = StoreOp.Lease, Owner = owner, LifeUs = 0, Done = call => { } });
        }

        private static bool Abandons(StoreCall call)
        {
            return call.Op == StoreOp.Lease && call.LifeUs == 0;
        }

        // ---- opening ----

        private void Lock(FileStream file)
        {
            try
            {
                // Some systems keep others out by the FileShare above, some only by this.
                file.Lock(LockAt, 1);
            }
            catch (Exception unable) when (unable is NotSupportedException || unable is NotImplementedException)
            {
            }
            catch (IOException used)
            {
                throw new IOException(file.Name + " is used by another process", used);
            }
        }

        /// <summary>Finds the log that counts.</summary>
        private void Open()
        {
            var found = new[] { StoreLog.Read(files[0]), StoreLog.Read(files[1]) };
            current = found[1].Whole && (!found[0].Whole || found[1].Epoch > found[0].Epoch) ? 1 : 0;
            StoreLog.Contents counts = found[current];
            if (!counts.Whole && !(found[0].Empty && found[1].Empty))
            {
                throw Damaged("neither of its files has a whole log in it");
            }
            if (counts.Whole && counts.Damaged)
            {
                throw Damaged("what is at byte " + counts.End + " of " + files[current].Name + " cannot be read, and more follows");
            }
            tables = counts.Tables;
            epoch = counts.Epoch;
            Dropped = counts.Whole ? files[current].Length - counts.End : 0;
            BeginAnew();
        }

        private InvalidDataException Damaged(string how)
        {
            return new InvalidDataException("the store at " + path + " is damaged: " + how
                + "; nothing was changed: put a copy in its place, or move its two files away to begin without sessions");
        }

        /// <summary>Begins a log in the other file. The old one is emptied when the new one is on the disk.</summary>
        private void BeginAnew()
        {
            tables.Sweep(clock.Now);
            FileStream before = files[current], next = files[1 - current];
            end = begun = log.Begin(next, epoch + 1, tables);
            epoch++;
            current = 1 - current;
            uncertain = false;
            before.SetLength(0);
            before.Flush(true);
        }

        private void CloseFiles()
        {
            foreach (FileStream file in files)
            {
                try
                {
                    if (file != null)
                    {
                        file.Dispose();
                    }
                }
                catch (IOException)
                {
                    // Mono tries once more to write what a full disk did not take, and closes it all the same. That was confirmed to nobody.
                }
            }
        }

        // ---- the thread ----

        private void Run()
        {
            try
            {
                while (Next())
                {
                    CarryOut();
                }
                foreach (Waiter one in waiters)
                {
                    one.Call.Answer(ReplyKind.Notes);
                }
            }
            catch (ThreadAbortException)
            {
                // The Unity editor unloads its scripts.
            }
            catch (Exception fault)
            {
                // Out of memory, for example. Nobody knows what was done of the last requests; further ones are refused.
                List<StoreCall> left = batch;
                lock (door)
                {
                    ending = true;
                    failure = fault;
                    left.AddRange(asked);
                }
                foreach (StoreCall call in left)
                {
                    call.Answer(ReplyKind.Failed);
                }
            }
        }

        /// <summary>Waits for requests, or for the time of one who waits. False at the end.</summary>
        private bool Next()
        {
            lock (door)
            {
                long wait;
                while (asked.Count == 0 && !ending && (wait = Wait()) > 0)
                {
                    Monitor.Wait(door, (int)wait);
                }
                List<StoreCall> empty = batch;
                batch = asked;
                asked = empty;
                return batch.Count > 0 || !ending;
            }
        }

        private long Wait()
        {
            long now = clock.Now, until = now + ReceiveMs;
            foreach (Waiter one in waiters)
            {
                until = Math.Min(until, one.Until);
            }
            return until - now;
        }

        private void CarryOut()
        {
            long now = clock.Now;
            Exception broken = uncertain && batch.Count > 0 ? Try(BeginAnew) : null;
            foreach (StoreCall call in batch)
            {
                if (Abandons(call))
                {
                    // Whatever the disk does: who is alive is not on it.
                    Forget(call.Owner);
                    call.Reply = ReplyKind.Done;
                }
                else if (broken != null)
                {
                    call.Reply = ReplyKind.Unavailable;
                }
                else if (call.Op == StoreOp.Receive)
                {
                    waiters.Add(new Waiter { Call = call, Until = now + ReceiveMs });
                }
                else
                {
                    call.Reply = tables.Apply(call, now, log);
                }
            }
            if (broken == null && log.Length > 0)
            {
                broken = Try(Write);
                uncertain = broken != null;
            }
            if (batch.Count > 0)
            {
                lock (door) { failure = broken; }
            }
            foreach (StoreCall call in batch)
            {
                if (call.Op != StoreOp.Receive || call.Reply == ReplyKind.Unavailable)
                {
                    // If the write failed, nobody knows what is on the disk now.
                    call.Answer(uncertain && call.Reply != ReplyKind.Unavailable ? ReplyKind.Failed : call.Reply);
                }
            }
            batch.Clear();
            AnswerWaiters(now);
        }

        private void Forget(Guid owner)
        {
            tables.Forget(owner);
            waiters.RemoveAll(one => one.Call.Owner == owner);
        }

        private void Write()
        {
            end = log.WriteTo(files[current], end);
            files[current].Flush(true);
            if (end > 2 * begun + Slack)
            {
                BeginAnew();
            }
        }

        private Exception Try(Action act)
        {
            try
            {
                act();
                return null;
            }
            catch (Exception failed) when (!(failed is ThreadAbortException))
            {
                log.Clear();
                return failed;
            }
        }

        private void AnswerWaiters(long now)
        {
            for (int i = waiters.Count - 1; i >= 0; i--)
            {
                Waiter one = waiters[i];
                if (one.Until <= now || tables.HasNotes(one.Call.Owner))
                {
                    waiters.RemoveAt(i);
                    one.Call.Answer(tables.Apply(one.Call, now, log));
                }
            }
        }
    }
}
