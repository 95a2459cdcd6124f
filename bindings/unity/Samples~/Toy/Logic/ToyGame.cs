using System;
using System.Collections.Generic;

namespace Unbroken.Toy
{
    /// <summary>The player's side of the toy, without the engine: where everybody is, and what the connection does.</summary>
    public sealed class ToyGame
    {
        /// <summary>Seconds between two measurements of the round trip.</summary>
        private const double EchoEvery = 0.1;

        private readonly UnbrokenClient client;
        private readonly Dictionary<byte, Word> players = new Dictionary<byte, Word>();
        private readonly byte[] buffer = new byte[Word.Length];
        private readonly Func<double> clock;
        private double nextEcho;

        /// <summary>This player's number; 0 until the server said it.</summary>
        public byte Me { get; private set; }

        /// <summary>Where everybody is, by number.</summary>
        public IEnumerable<Word> Players { get { return players.Values; } }

        /// <summary>Round trips.</summary>
        public readonly LatencyGraph Latency = new LatencyGraph(200);

        /// <summary>What the connection did last, in words.</summary>
        public string News { get; private set; }

        /// <summary>Handovers that were seen to end.</summary>
        public int Handovers { get; private set; }

        /// <param name="client">A client of a <see cref="ToyServer"/>.</param>
        /// <param name="clock">Seconds; not those of the frame, as an echo may come back within one.</param>
        public ToyGame(UnbrokenClient client, Func<double> clock)
        {
            this.client = client;
            this.clock = clock;
            News = "connecting";
            client.MessageReceived += Hear;
            client.Established += happened => News = "connected";
            client.HandoverBegan += happened => News = "handover: " + happened.Cause;
            client.HandoverFailed += happened => News = "handover failed: " + happened.Failure;
            client.Closed += happened => News = "over: " + happened.Reason;
            client.HandoverEnded += happened =>
            {
                Handovers++;
                News = string.Format(
                    "handover {0} took {1:0} ms, {2} messages sent again", Handovers, happened.Downtime.TotalMilliseconds, happened.ReplayedMessages);
            };
        }

        /// <summary>Call it in each frame.</summary>
        public void Frame()
        {
            double now = clock();
            if (Me != 0 && now >= nextEcho)
            {
                nextEcho = now + EchoEvery;
                Say(new Word { Kind = Word.Echo, X = now });
            }
        }

        /// <summary>Go there: 0 to 1 each.</summary>
        public void MoveTo(double x, double y)
        {
            Say(new Word { Kind = Word.Place, X = x, Y = y });
        }

        /// <summary>Breaks the connection as a dying network does.</summary>
        public void CutMyLink()
        {
            client.CutLinks();
        }

        private void Say(Word word)
        {
            word.Write(buffer);
            client.TrySend(buffer);
        }

        private void Hear(ReadOnlySpan<byte> message, long number)
        {
            Word word;
            if (!Word.TryRead(message, out word))
            {
                return;
            }
            switch (word.Kind)
            {
                case Word.YouAre: Me = word.Player; break;
                case Word.Place: players[word.Player] = word; break;
                case Word.Gone: players.Remove(word.Player); break;
                case Word.Echo: Latency.Add(clock() - word.X); break;
            }
        }
    }
}
