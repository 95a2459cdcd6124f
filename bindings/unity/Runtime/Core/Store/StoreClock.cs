using System;
using System.Diagnostics;

namespace Unbroken.Store
{
    /// <summary>A store's clock: milliseconds since 1970, as times must mean the same after a restart. It never goes back within a process, nor stands
    /// still: when the machine's is set back, it goes on from where it was. (If it waited until that one has caught up, nothing would expire
    /// meanwhile.)</summary>
    internal sealed class StoreClock
    {
        private static readonly DateTime Epoch = new DateTime(1970, 1, 1, 0, 0, 0, DateTimeKind.Utc);
        private readonly Stopwatch begun = Stopwatch.StartNew();
        /// <summary>What it said when it began, if the machine's clock was right all the time: grows when that is set forward.</summary>
        private long start;

        public long Now
        {
            get { return Read((long)(DateTime.UtcNow - Epoch).TotalMilliseconds, begun.ElapsedMilliseconds); }
        }

        /// <summary>By what the machine's clock says, and how much time has passed since this one began.</summary>
        internal long Read(long wall, long passed)
        {
            start = Math.Max(start, wall - passed);
            return start + passed;
        }
    }
}
