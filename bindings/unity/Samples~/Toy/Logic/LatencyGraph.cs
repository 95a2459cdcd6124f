using System;

namespace Unbroken.Toy
{
    /// <summary>The latest round trips, in seconds, oldest first.</summary>
    public sealed class LatencyGraph
    {
        private readonly double[] ring;
        private int next;

        public LatencyGraph(int capacity)
        {
            ring = new double[capacity];
        }

        public int Count { get; private set; }

        /// <summary>The longest that is kept; 0 without any.</summary>
        public double Max
        {
            get
            {
                double max = 0;
                for (int i = 0; i < Count; i++)
                {
                    max = Math.Max(max, this[i]);
                }
                return max;
            }
        }

        public double this[int index]
        {
            get
            {
                if (index < 0 || index >= Count)
                {
                    throw new ArgumentOutOfRangeException("index");
                }
                return ring[(next - Count + index + ring.Length) % ring.Length];
            }
        }

        public void Add(double seconds)
        {
            ring[next] = seconds;
            next = (next + 1) % ring.Length;
            Count = Math.Min(Count + 1, ring.Length);
        }
    }
}
