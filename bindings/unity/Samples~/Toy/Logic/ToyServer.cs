using System;
using System.Collections.Generic;
using System.Net;

namespace Unbroken.Toy
{
    /// <summary>The world of the toy: dots that players drag about. Tells everybody where everybody is, and sends echoes back. Its keys are in the
    /// open: it is a toy.</summary>
    public sealed class ToyServer : IDisposable
    {
        private static readonly byte[] Secret = Filled(0x55), Cluster = Filled(0x66);

        private readonly UnbrokenServer server;
        private readonly Dictionary<ServerPeer, Word> places = new Dictionary<ServerPeer, Word>();
        private readonly byte[] buffer = new byte[Word.Length];
        private byte next;

        /// <summary>What clients pin.</summary>
        public static byte[] PublicKey { get { return Keys.PublicKey(Secret); } }

        public ToyServer(IPEndPoint at)
        {
            server = new UnbrokenServer(new ServerSettings(Secret, Cluster) { Realm = "toy", AuthoriseAll = true }, at);
            server.Joined += Join;
            server.Left += (peer, happened) => Leave(peer);
            server.MessageReceived += Hear;
        }

        public int Port { get { return server.Address.Port; } }

        public int Players { get { return places.Count; } }

        /// <summary>Call it in each frame.</summary>
        public void Pump()
        {
            server.Pump();
        }

        public void Dispose()
        {
            server.Dispose();
        }

        private void Join(ServerPeer peer)
        {
            var place = new Word { Kind = Word.Place, Player = ++next, X = 0.5, Y = 0.5 };
            Say(peer, new Word { Kind = Word.YouAre, Player = place.Player });
            foreach (Word other in places.Values)
            {
                Say(peer, other);
            }
            places[peer] = place;
            SayAll(place);
        }

        private void Leave(ServerPeer peer)
        {
            byte player = places[peer].Player;
            places.Remove(peer);
            SayAll(new Word { Kind = Word.Gone, Player = player });
        }

        private void Hear(ServerPeer peer, ReadOnlySpan<byte> message, long number)
        {
            Word word;
            if (!Word.TryRead(message, out word))
            {
                peer.Kick(1);
            }
            else if (word.Kind == Word.Echo)
            {
                Say(peer, word);
            }
            else if (word.Kind == Word.Place)
            {
                Word place = places[peer];
                place.X = Within(word.X);
                place.Y = Within(word.Y);
                places[peer] = place;
                SayAll(place);
            }
        }

        private void SayAll(Word word)
        {
            foreach (ServerPeer peer in places.Keys)
            {
                Say(peer, word);
            }
        }

        /// <summary>A player whose messages do not fit any more was away for long and slept over thousands of them.</summary>
        private void Say(ServerPeer peer, Word word)
        {
            word.Write(buffer);
            if (peer.TrySend(buffer) == Status.ErrWouldBlock)
            {
                peer.Kick(2);
            }
        }

        private static double Within(double value)
        {
            return value >= 0 && value <= 1 ? value : 0.5;
        }

        private static byte[] Filled(byte with)
        {
            var key = new byte[Keys.Length];
            for (int i = 0; i < key.Length; i++)
            {
                key[i] = with;
            }
            return key;
        }
    }
}
