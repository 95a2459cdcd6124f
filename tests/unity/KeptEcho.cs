using System;
using System.Collections.Generic;
using System.Net;
using System.Text;

namespace Unbroken.Tests
{
    /// <summary>An echo server whose sessions outlive it. What it knows of each is how many messages it has taken, and the one that it could not
    /// send back yet; and it fails if what it is given does not fit to that.</summary>
    public sealed class KeptEcho : IDisposable
    {
        private sealed class Known
        {
            public long Taken;
            public byte[] Waiting;
        }

        public readonly UnbrokenServer Server;
        public readonly FileStore Store;
        public int Restored, SwappedOut, Left;
        public SessionEvent LastLeft;
        public long Taken;

        public KeptEcho(string path, Durability durability, int port)
        {
            Store = new FileStore(path);
            var settings = new ServerSettings(Key(7), Key(9)) { Realm = "unity-tests", Store = Store, Durability = durability };
            Server = new UnbrokenServer(settings, new IPEndPoint(IPAddress.Loopback, port));
            Server.Authorise = (peer, credential) =>
            {
                peer.Tag = new Known();
                return Encoding.UTF8.GetString(credential) == "let me in" ? Verdict.Accept(null, State(peer)) : Verdict.Refuse(7);
            };
            Server.SaveState = State;
            Server.Restored += Take;
            Server.SwappedOut += peer => SwappedOut++;
            Server.MessageReceived += Hear;
            Server.Writable += SendWaiting;
            Server.Left += (peer, happened) =>
            {
                Left++;
                LastLeft = happened;
            };
        }

        public void Dispose()
        {
            Server.Dispose();
            Store.Dispose();
        }

        private void Hear(ServerPeer peer, ReadOnlySpan<byte> message, long number)
        {
            var known = (Known)peer.Tag;
            if (number != known.Taken)
            {
                throw new InvalidOperationException("message " + number + " came after " + known.Taken + " were taken");
            }
            known.Taken++;
            Taken++;
            if (peer.TrySend(message) != Status.Ok)
            {
                known.Waiting = message.ToArray();
                peer.Held = true;
            }
        }

        private static void SendWaiting(ServerPeer peer)
        {
            var known = (Known)peer.Tag;
            if (known.Waiting != null && peer.TrySend(known.Waiting) == Status.Ok)
            {
                known.Waiting = null;
                peer.Held = false;
                peer.Commit();
            }
        }

        private static byte[] State(ServerPeer peer)
        {
            var known = (Known)peer.Tag;
            var state = new List<byte>(BitConverter.GetBytes(known.Taken));
            state.AddRange(known.Waiting ?? new byte[0]);
            return state.ToArray();
        }

        private void Take(ServerPeer peer, byte[] state)
        {
            Restored++;
            var known = new Known { Taken = BitConverter.ToInt64(state, 0) };
            peer.Tag = known;
            if (state.Length > 8)
            {
                known.Waiting = new ReadOnlySpan<byte>(state, 8, state.Length - 8).ToArray();
                peer.Held = true;
                SendWaiting(peer);
            }
        }

        private static byte[] Key(byte of)
        {
            var key = new byte[Keys.Length];
            for (int i = 0; i < key.Length; i++)
            {
                key[i] = of;
            }
            return key;
        }
    }
}
