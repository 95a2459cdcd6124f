using System;
using System.Collections.Generic;
using Unbroken.Native;

namespace Unbroken.Store
{
    /// <summary>
    /// What each request does, over tables in memory; what outlives the process is reported to a journal.
    ///
    /// A record's time runs out twice. At Over its life is over: a live one or a tomb is none any more, a parked one is expired. At Gone an expired
    /// one is none, too. What is none may still lie here until it is swept. Leases and notes are not kept: when the process has ended its
    /// servers have, too.
    ///
    /// Messages from servers to sessions are not offered by this package, so nobody appends any, and an endpoint that asks for them finds none.
    /// </summary>
    internal sealed class StoreTables
    {
        public sealed class Row
        {
            public RecordKind Kind;
            public ulong Token;
            public Guid Owner;
            public long Over, Gone;
            public byte[] Data;
        }

        public struct Binding
        {
            public ulong Key;
            public long Until;
        }

        /// <summary>Told of what has changed, to write it down.</summary>
        public interface IJournal
        {
            void Put(ulong key, Row row);
            void Bind(string user, Binding binding);
        }

        /// <summary>Notes that wait for one server at most. The oldest goes when one more comes.</summary>
        private const int MostNotes = 1024;

        public readonly Dictionary<ulong, Row> Rows = new Dictionary<ulong, Row>();
        public readonly Dictionary<string, Binding> Users = new Dictionary<string, Binding>();
        private readonly Dictionary<Guid, long> leases = new Dictionary<Guid, long>();
        private readonly Dictionary<Guid, List<byte[]>> notes = new Dictionary<Guid, List<byte[]>>();

        /// <summary>Carries one request out and gives its outcome; a <see cref="StoreOp.Receive"/> takes what is there. The time is in milliseconds
        /// since 1970.</summary>
        public ReplyKind Apply(StoreCall call, long now, IJournal journal)
        {
            switch (call.Op)
            {
                case StoreOp.Peek:
                    Peek(call, now);
                    return ReplyKind.Peeked;
                case StoreOp.Put:
                    return Put(call, now, journal);
                case StoreOp.Lease:
                    Lease(call.Owner, call.LifeUs, now);
                    return ReplyKind.Done;
                case StoreOp.Send:
                    return Send(call, now);
                case StoreOp.Receive:
                    List<byte[]> found;
                    call.Notes = notes.TryGetValue(call.Owner, out found) ? found : null;
                    notes.Remove(call.Owner);
                    return ReplyKind.Notes;
                case StoreOp.Read:
                    return ReplyKind.Messages;
                case StoreOp.Trim:
                    return ReplyKind.Done;
                case StoreOp.Bind:
                    Bind(call, now, journal);
                    return ReplyKind.Bound;
                default:
                    return ReplyKind.Unavailable;
            }
        }

        public bool HasNotes(Guid owner)
        {
            return notes.ContainsKey(owner);
        }

        /// <summary>A server has ended.</summary>
        public void Forget(Guid owner)
        {
            leases.Remove(owner);
            notes.Remove(owner);
        }

        /// <summary>Removes what is none any more.</summary>
        public void Sweep(long now)
        {
            foreach (ulong key in new List<ulong>(Rows.Keys))
            {
                if (Rows[key].Gone <= now)
                {
                    Rows.Remove(key);
                }
            }
            foreach (string user in new List<string>(Users.Keys))
            {
                if (Users[user].Until <= now)
                {
                    Users.Remove(user);
                }
            }
        }

        private void Peek(StoreCall call, long now)
        {
            Row row;
            if (Present(call.Key, now, out row))
            {
                call.Found = row.Kind;
                call.FoundToken = row.Token;
                call.FoundData = row.Data;
                call.Expired = row.Over <= now;
                call.FoundOwner = row.Kind == RecordKind.Live ? row.Owner : Guid.Empty;
                call.OwnerAlive = row.Kind == RecordKind.Live && Alive(row.Owner, now);
            }
        }

        private ReplyKind Put(StoreCall call, long now, IJournal journal)
        {
            if (!AsExpected(call, now))
            {
                return ReplyKind.Conflict;
            }
            long over = After(now, call.LifeUs);
            var row = new Row
            {
                Kind = call.Record, Token = call.Token, Owner = call.Owner, Data = call.Data, Over = over,
                Gone = call.Record == RecordKind.Parked ? After(over, call.LingerUs) : over,
            };
            Rows[call.Key] = row;
            journal.Put(call.Key, row);
            return ReplyKind.Done;
        }

        private bool AsExpected(StoreCall call, long now)
        {
            Row row;
            bool there = Present(call.Key, now, out row) && row.Over > now;
            if (call.Expect == RecordKind.None)
            {
                return !there;
            }
            return there && row.Kind == call.Expect && row.Token == call.ExpectToken
                && (row.Kind != RecordKind.Live || row.Owner == call.ExpectOwner);
        }

        private void Lease(Guid owner, ulong lifeUs, long now)
        {
            if (lifeUs == 0)
            {
                Forget(owner);
            }
            else
            {
                leases[owner] = After(now, lifeUs);
            }
        }

        private ReplyKind Send(StoreCall call, long now)
        {
            if (!Alive(call.Owner, now))
            {
                return ReplyKind.Conflict;
            }
            List<byte[]> theirs;
            if (!notes.TryGetValue(call.Owner, out theirs))
            {
                notes[call.Owner] = theirs = new List<byte[]>();
            }
            if (theirs.Count == MostNotes)
            {
                theirs.RemoveAt(0);
            }
            theirs.Add(call.Data);
            return ReplyKind.Done;
        }

        private void Bind(StoreCall call, long now, IJournal journal)
        {
            Binding before;
            if (Users.TryGetValue(call.User, out before) && before.Until > now && before.Key != call.Key)
            {
                call.FoundKey = before.Key;
            }
            Users[call.User] = new Binding { Key = call.Key, Until = After(now, call.LifeUs) };
            journal.Bind(call.User, Users[call.User]);
        }

        private bool Present(ulong key, long now, out Row row)
        {
            return Rows.TryGetValue(key, out row) && row.Gone > now;
        }

        private bool Alive(Guid owner, long now)
        {
            long until;
            return leases.TryGetValue(owner, out until) && until > now;
        }

        /// <summary>Rounded up, so that a life which is not zero is none of zero.</summary>
        private static long After(long now, ulong us)
        {
            ulong ms = us / 1000 + (us % 1000 == 0 ? 0u : 1u);
            return now + (long)Math.Min(ms, (ulong)(long.MaxValue - now));
        }
    }
}
