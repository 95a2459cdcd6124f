using System;
using System.Runtime.InteropServices;
using Unbroken.Native;
using Unbroken.Store;

namespace Unbroken
{
    // What an endpoint with a store asks for beyond the others; see docs/TAKEOVER.md.
    public sealed unsafe partial class UnbrokenEndpoint
    {
        /// <summary>The next request to the store. Each is to be answered by <see cref="HandleStore"/>.</summary>
        internal bool PollStore(out StoreCall call)
        {
            StoreRequest asked;
            call = null;
            if (!UnbrokenException.Check(Library.unbroken_endpoint_poll_store(handle, &asked)))
            {
                return false;
            }
            call = new StoreCall
            {
                Id = asked.Id, Op = (StoreOp)asked.Op, Expect = (RecordKind)asked.Expect, Record = (RecordKind)asked.Record,
                Key = *(ulong*)asked.Key, ExpectToken = asked.ExpectToken, Token = asked.Token, ExpectOwner = *(Guid*)asked.ExpectOwner,
                Owner = *(Guid*)asked.Owner, LifeUs = asked.LifeUs, LingerUs = asked.LingerUs,
            };
            if (call.Op == StoreOp.Bind)
            {
                call.User = Convert.ToBase64String(new ReadOnlySpan<byte>(asked.User, 32).ToArray());
            }
            if (asked.DataLen > 0)
            {
                UIntPtr length;
                call.Data = new byte[asked.DataLen];
                fixed (byte* bytes = call.Data)
                {
                    UnbrokenException.Check(Library.unbroken_endpoint_store_data(handle, bytes, (UIntPtr)call.Data.Length, &length));
                }
            }
            return true;
        }

        /// <summary>A request was carried out, or not.</summary>
        internal void HandleStore(StoreCall call, ulong nowUs)
        {
            StoreReply reply;
            UnbrokenException.Check(Library.unbroken_store_reply_init(&reply, (UIntPtr)sizeof(StoreReply)));
            reply.Kind = (int)call.Reply;
            reply.Record = (int)call.Found;
            reply.Expired = (byte)(call.Expired ? 1 : 0);
            reply.OwnerAlive = (byte)(call.OwnerAlive ? 1 : 0);
            reply.Token = call.FoundToken;
            *(Guid*)reply.Owner = call.FoundOwner;
            reply.HasKey = (byte)(call.FoundKey.HasValue ? 1 : 0);
            *(ulong*)reply.Key = call.FoundKey.GetValueOrDefault();
            int notes = call.Notes == null ? 0 : call.Notes.Count;
            var items = new StoreItem[notes];
            var pins = new GCHandle[notes];
            try
            {
                for (int i = 0; i < notes; i++)
                {
                    pins[i] = GCHandle.Alloc(call.Notes[i], GCHandleType.Pinned);
                    items[i].Data = (byte*)pins[i].AddrOfPinnedObject();
                    items[i].Len = (UIntPtr)call.Notes[i].Length;
                }
                fixed (byte* data = call.FoundData)
                fixed (StoreItem* first = items)
                {
                    reply.Data = data;
                    reply.Len = (UIntPtr)call.FoundData.Length;
                    reply.Items = first;
                    reply.ItemCount = (UIntPtr)notes;
                    UnbrokenException.Check(Library.unbroken_endpoint_handle_store(handle, call.Id, &reply, nowUs));
                }
            }
            finally
            {
                foreach (GCHandle pin in pins)
                {
                    if (pin.IsAllocated)
                    {
                        pin.Free();
                    }
                }
            }
        }

        /// <summary>The endpoint's name among those that share the store.</summary>
        internal Guid Owner
        {
            get
            {
                Guid owner;
                UnbrokenException.Check(Library.unbroken_endpoint_owner(handle, (byte*)&owner));
                return owner;
            }
        }

        /// <summary>The store is still to be told something, or has not answered.</summary>
        internal bool OwesStore
        {
            get
            {
                int owes;
                UnbrokenException.Check(Library.unbroken_endpoint_owes_store(handle, &owes));
                return owes != 0;
            }
        }

        /// <summary>A session whose application state is wanted, for <see cref="Save"/>. It is named once.</summary>
        internal bool PollSnapshot(out SessionId id)
        {
            fixed (SessionId* to = &id)
            {
                return UnbrokenException.Check(Library.unbroken_endpoint_poll_snapshot(handle, (byte*)to));
            }
        }

        /// <summary>The application's state of a session; null if it has none. Does nothing if nobody wants it any more.</summary>
        /// <exception cref="UnbrokenException"><see cref="Status.ErrSnapshot"/>: it is too large.</exception>
        internal void Save(SessionId id, byte[] state)
        {
            fixed (byte* bytes = state)
            {
                UnbrokenException.Check(Library.unbroken_endpoint_save(
                    handle, (byte*)&id, state == null ? 0 : 1, bytes, (UIntPtr)(state == null ? 0 : state.Length)));
            }
        }

        /// <summary>Wants all sessions in the store, and lets nobody in.</summary>
        internal void Retire()
        {
            UnbrokenException.Check(Library.unbroken_endpoint_retire(handle));
        }

        /// <summary>Takes that back.</summary>
        internal void Stay()
        {
            UnbrokenException.Check(Library.unbroken_endpoint_stay(handle));
        }

        /// <summary>Puts a session out, wherever it is. False if it is not here: then it is looked for in the store.</summary>
        internal bool KickAnywhere(SessionId id, uint code)
        {
            return UnbrokenException.Check(Library.unbroken_endpoint_kick(handle, (byte*)&id, code));
        }

        /// <summary>A session is on its way into the store; the application must not go on with it.</summary>
        internal bool IsLeaving(SessionId id)
        {
            int leaving;
            return Known(Library.unbroken_endpoint_session_is_leaving(handle, (byte*)&id, &leaving)) && leaving != 0;
        }

        /// <summary>The application's state of a session has changed otherwise than by a message. False if there is none.</summary>
        internal bool Commit(SessionId id)
        {
            return Known(Library.unbroken_endpoint_session_commit(handle, (byte*)&id));
        }
    }
}
