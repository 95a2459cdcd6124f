using System;
using System.Collections.Generic;
using System.Diagnostics;
using Unbroken.Net;
using Unbroken.Store;

namespace Unbroken
{
    // Sessions that go on after a restart.
    //
    // The endpoint asks for requests to be carried out by the store, and for the application's state of sessions that are to be written. The driver
    // hands the first to the store, whose thread brings the answers. The second is asked of the application by Pump, after all that had happened was told
    // and between two messages: so a state is what the application has made of exactly the messages that it was given.
    public sealed partial class UnbrokenServer
    {
        /// <summary>The code with which a client is put out whose session cannot be written, with <see cref="Durability.Durable"/>.</summary>
        public const uint StateTooLarge = uint.MaxValue - 3;

        private const int RetireAgainMs = 1000;
        private const int LookMs = 20;

        private readonly FileStore store;
        private readonly bool durable;
        private readonly Guid owner;
        /// <summary>Sessions whose state is wanted; under the gate.</summary>
        private readonly Queue<SessionId> wanted = new Queue<SessionId>();

        /// <summary>With a store: gives the application's state of a session, to be written with it; null, or without a handler: it has none. It must be what
        /// the application has made of all messages that it was given. With <see cref="Durability.Durable"/> it is asked for after messages, so that it
        /// ought to be small; otherwise when the session leaves.</summary>
        public Func<ServerPeer, byte[]> SaveState;
        /// <summary>With a store: a session came back, with the application's state as <see cref="SaveState"/> gave it, or the verdict did; null if there was
        /// none. It has joined already: <see cref="Joined"/> does not come.</summary>
        public event Action<ServerPeer, byte[]> Restored;
        /// <summary>With a store: a session has left this server and lives on in the store. Comes instead of <see cref="Left"/>.</summary>
        public event Action<ServerPeer> SwappedOut;
        /// <summary>With a store: a session with its state is larger than <see cref="Limits.Snapshot"/>. It stays here; with
        /// <see cref="Durability.Durable"/> nothing of it could leave any more, and its client was put out with <see cref="StateTooLarge"/>.</summary>
        public event Action<ServerPeer, UnbrokenException> NotSaved;

        /// <summary>
        /// Puts all sessions into the store, for a restart: from now on nobody is let in, and messages wait at their senders. Pumps meanwhile. True when
        /// the store has all of them; then dispose of the server and the store. False if it has not after that time: the server goes on with
        /// those that are still here, and this can be tried again. While a session is on its way, sending to it is
        /// <see cref="Status.ErrWouldBlock"/>.
        /// </summary>
        /// <exception cref="InvalidOperationException">There is no store, or this was called by a handler.</exception>
        public bool Leave(TimeSpan within)
        {
            if (store == null)
            {
                throw new InvalidOperationException("there is nowhere for sessions to go: ServerSettings.Store was not set");
            }
            var time = Stopwatch.StartNew();
            bool left = false;
            try
            {
                long asked = -RetireAgainMs;
                while (!left && time.Elapsed <= within)
                {
                    if (time.ElapsedMilliseconds - asked >= RetireAgainMs)
                    {
                        asked = time.ElapsedMilliseconds;
                        Use(endpoint.Retire);
                    }
                    Wait(LookMs);
                    Pump();
                    lock (gate)
                    {
                        loop.TakeEvents();
                        left = endpoint.Counters.NowSessions == 0 && !endpoint.OwesStore && !loop.EventsWait;
                    }
                }
                return left;
            }
            finally
            {
                if (!left)
                {
                    Use(endpoint.Stay);
                }
            }
        }

        private void Use(Action act)
        {
            lock (gate)
            {
                if (!loop.Disposed)
                {
                    act();
                    loop.Changed();
                }
            }
        }

        internal void Commit(SessionId id)
        {
            Use(() => endpoint.Commit(id));
        }

        /// <summary>On the driver's thread, under the gate.</summary>
        private void AskStore()
        {
            StoreCall call;
            while (endpoint.PollStore(out call))
            {
                call.Done = Answered;
                store.Submit(call);
            }
            // Taken from the endpoint at once: as long as one is there, it asks to be looked at again without a pause.
            SessionId id;
            while (endpoint.PollSnapshot(out id))
            {
                wanted.Enqueue(id);
                loop.Changed();
            }
        }

        /// <summary>On the store's thread.</summary>
        private void Answered(StoreCall call)
        {
            try
            {
                Use(() => endpoint.HandleStore(call, Clock.Now));
            }
            catch (Exception fault)
            {
                loop.Fail(fault);
            }
        }

        /// <summary>Gives the endpoint the states that it asked for, if nothing happened that the application does not know yet.</summary>
        private void SaveStates()
        {
            SessionId id;
            while (NextWanted(out id))
            {
                byte[] state;
                ServerPeer peer;
                peers.TryGetValue(id, out peer);
                bool got = false;
                try
                {
                    state = StateOf(peer);
                    got = true;
                }
                finally
                {
                    if (!got)
                    {
                        // It is named once; so it is asked again by the next pump.
                        lock (gate) { wanted.Enqueue(id); }
                    }
                }
                Save(id, peer, state);
            }
        }

        private bool NextWanted(out SessionId id)
        {
            lock (gate)
            {
                while (wanted.Count > 0 && !loop.EventsWait && !loop.Disposed)
                {
                    id = wanted.Dequeue();
                    // One that was to leave may stay after all.
                    if (durable || endpoint.IsLeaving(id))
                    {
                        return true;
                    }
                }
                id = default(SessionId);
                return false;
            }
        }

        private byte[] StateOf(ServerPeer peer)
        {
            if (peer == null || !peer.Joined)
            {
                return peer == null ? null : peer.FirstState;
            }
            return SaveState == null ? null : SaveState(peer);
        }

        private void Save(SessionId id, ServerPeer peer, byte[] state)
        {
            UnbrokenException tooLarge = null;
            lock (gate)
            {
                try
                {
                    if (!loop.Disposed)
                    {
                        endpoint.Save(id, state);
                        loop.Changed();
                    }
                }
                catch (UnbrokenException failed) when (failed.Status == Status.ErrSnapshot)
                {
                    tooLarge = failed;
                    if (durable)
                    {
                        endpoint.Kick(id, StateTooLarge);
                    }
                }
            }
            if (tooLarge != null && peer != null)
            {
                Raise(NotSaved, peer, tooLarge);
            }
        }
    }
}
