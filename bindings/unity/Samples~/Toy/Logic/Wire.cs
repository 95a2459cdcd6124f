using System;
using System.Buffers.Binary;

namespace Unbroken.Toy
{
    /// <summary>What the toy's ends say to each other: a kind, a player's number, and two numbers.</summary>
    public struct Word
    {
        /// <summary>Kinds.</summary>
        public const byte YouAre = 1, Place = 2, Gone = 3, Echo = 4;

        /// <summary>Bytes of a word.</summary>
        public const int Length = 18;

        public byte Kind, Player;
        public double X, Y;

        public void Write(Span<byte> to)
        {
            to[0] = Kind;
            to[1] = Player;
            BinaryPrimitives.WriteInt64LittleEndian(to.Slice(2), BitConverter.DoubleToInt64Bits(X));
            BinaryPrimitives.WriteInt64LittleEndian(to.Slice(10), BitConverter.DoubleToInt64Bits(Y));
        }

        public static bool TryRead(ReadOnlySpan<byte> from, out Word word)
        {
            word = default(Word);
            if (from.Length != Length)
            {
                return false;
            }
            word.Kind = from[0];
            word.Player = from[1];
            word.X = BitConverter.Int64BitsToDouble(BinaryPrimitives.ReadInt64LittleEndian(from.Slice(2)));
            word.Y = BitConverter.Int64BitsToDouble(BinaryPrimitives.ReadInt64LittleEndian(from.Slice(10)));
            return true;
        }
    }
}
