using System;
using System.Collections.Generic;
using Unbroken.Native;

namespace Unbroken.Store
{
    /// <summary>One request of an endpoint, and what became of it. Fields that its operation does not mention are zero; the header says what they
    /// mean.</summary>
    internal sealed class StoreCall
    {
        // The request.
        public ulong Id;
        public StoreOp Op;
        public RecordKind Expect, Record;
        public ulong Key;
        public ulong ExpectToken, Token;
        public Guid ExpectOwner, Owner;
        public string User;
        public ulong LifeUs, LingerUs;
        public byte[] Data = Nothing;

        /// <summary>Told of the outcome, on any thread.</summary>
        public Action<StoreCall> Done;

        // The outcome.
        public ReplyKind Reply;
        public RecordKind Found;
        public bool Expired, OwnerAlive;
        public ulong FoundToken;
        public Guid FoundOwner;
        public ulong? FoundKey;
        public byte[] FoundData = Nothing;
        public List<byte[]> Notes;

        public static readonly byte[] Nothing = new byte[0];

        public void Answer(ReplyKind reply)
        {
            Reply = reply;
            Done(this);
        }
    }
}
