using System;
using System.Collections.Generic;
using System.IO;
using System.Text;
using Unbroken.Native;

namespace Unbroken.Store
{
    /// <summary>
    /// Tables in a file, as a log that begins with all of them.
    ///
    /// <code>
    ///   header: "unbroken store 1", epoch (8)
    ///   frame:  "\n#frame\n", length of the body (4), its CRC-32 (4), body
    ///   body:   entries, each with a letter before it: R a record, U a user, E the end of what the log began with
    /// </code>
    ///
    /// All numbers are little-endian. A batch of changes is one frame, written and flushed to the disk before any of them is confirmed; so whatever a
    /// crash leaves unfinished is in the last frame, and nobody was told that it was done. A broken frame with whole ones behind it is not from a crash: the
    /// file was damaged, and is refused. What is there before the E is as it was when the log was begun; without the E the log was not finished,
    /// and the one before it counts.
    /// </summary>
    internal sealed class StoreLog : StoreTables.IJournal
    {
        private const byte Record = (byte)'R', User = (byte)'U', End = (byte)'E';
        private const int HeaderLength = 24, FrameHead = 16;
        /// <summary>A log that begins with more is refused: it is read in one piece, and may grow to twice that.</summary>
        private const int Largest = 512 << 20;
        private const int Piece = 1 << 20;
        private static readonly byte[] Magic = Encoding.ASCII.GetBytes("unbroken store 1");
        private static readonly byte[] FrameMagic = Encoding.ASCII.GetBytes("\n#frame\n");

        /// <summary>What a file holds.</summary>
        public sealed class Contents
        {
            public readonly StoreTables Tables = new StoreTables();
            /// <summary>Of two whole logs the later one counts.</summary>
            public ulong Epoch;
            /// <summary>It has its E.</summary>
            public bool Whole;
            /// <summary>Where the good frames end.</summary>
            public long End;
            /// <summary>Good frames come after a broken one.</summary>
            public bool Damaged;
            /// <summary>The file is too short to have ever been a log with anything in it.</summary>
            public bool Empty;
        }

        private readonly MemoryStream frame = new MemoryStream();
        private readonly BinaryWriter writer;

        public StoreLog()
        {
            writer = new BinaryWriter(frame);
            Clear();
        }

        /// <summary>Bytes of the frame so far; 0 if nothing was said.</summary>
        public long Length { get { return frame.Length - FrameHead; } }

        /// <summary>Drops the frame.</summary>
        public void Clear()
        {
            frame.SetLength(FrameHead);
            frame.Position = FrameHead;
        }

        // ---- writing ----

        public void Put(ulong key, StoreTables.Row row)
        {
            writer.Write(Record);
            writer.Write(key);
            writer.Write((byte)row.Kind);
            writer.Write(row.Token);
            writer.Write(row.Owner.ToByteArray());
            writer.Write(row.Over);
            writer.Write(row.Gone);
            writer.Write(row.Data.Length);
            writer.Write(row.Data);
        }

        public void Bind(string user, StoreTables.Binding binding)
        {
            writer.Write(User);
            writer.Write(user);
            writer.Write(binding.Key);
            writer.Write(binding.Until);
        }

        /// <summary>Writes the frame and begins another; where it ends. Nothing is flushed.</summary>
        public long WriteTo(FileStream file, long at)
        {
            byte[] bytes = frame.GetBuffer();
            int body = (int)Length;
            FrameMagic.CopyTo(bytes, 0);
            Put32(bytes, 8, (uint)body);
            Put32(bytes, 12, Crc32.Of(bytes, FrameHead, body));
            file.Position = at;
            file.Write(bytes, 0, FrameHead + body);
            Clear();
            return at + FrameHead + body;
        }

        /// <summary>Makes the file a log that begins with these tables, on the disk when this returns; where it ends.</summary>
        public long Begin(FileStream file, ulong epoch, StoreTables tables)
        {
            Clear();
            file.SetLength(0);
            file.Position = 0;
            file.Write(Magic, 0, Magic.Length);
            file.Write(BitConverter.GetBytes(epoch), 0, 8);
            long at = HeaderLength;
            foreach (KeyValuePair<ulong, StoreTables.Row> one in tables.Rows)
            {
                Put(one.Key, one.Value);
                at = Length < Piece ? at : WriteTo(file, at);
            }
            foreach (KeyValuePair<string, StoreTables.Binding> one in tables.Users)
            {
                Bind(one.Key, one.Value);
                at = Length < Piece ? at : WriteTo(file, at);
            }
            writer.Write(End);
            at = WriteTo(file, at);
            if (at > Largest)
            {
                throw new IOException("the sessions take " + (at >> 20) + " MiB, which is too much for a file");
            }
            file.Flush(true);
            return at;
        }

        // ---- reading ----

        /// <summary>Reads what is there. Nothing is changed.</summary>
        public static Contents Read(FileStream file)
        {
            var found = new Contents { Empty = file.Length < HeaderLength + FrameHead + 1 };
            if (file.Length > int.MaxValue - 64)
            {
                throw new InvalidDataException(file.Name + " is larger than a store can be");
            }
            var bytes = new byte[file.Length];
            file.Position = 0;
            for (int got = 0, more = 1; got < bytes.Length && more > 0; got += more)
            {
                more = file.Read(bytes, got, bytes.Length - got);
            }
            if (found.Empty || !Starts(bytes, 0, Magic))
            {
                return found;
            }
            found.Epoch = BitConverter.ToUInt64(bytes, Magic.Length);
            long at = HeaderLength;
            for (int body; IsFrame(bytes, at, out body); at += FrameHead + body)
            {
                ReadBody(bytes, (int)at + FrameHead, body, found);
            }
            found.End = at;
            for (long later = at + 1; later < bytes.Length && !found.Damaged; later++)
            {
                int body;
                found.Damaged = IsFrame(bytes, later, out body);
            }
            return found;
        }

        private static bool IsFrame(byte[] bytes, long at, out int body)
        {
            body = 0;
            if (at + FrameHead >= bytes.Length || !Starts(bytes, at, FrameMagic))
            {
                return false;
            }
            uint length = BitConverter.ToUInt32(bytes, (int)at + 8);
            if (length == 0 || length > bytes.Length - at - FrameHead)
            {
                return false;
            }
            body = (int)length;
            return Crc32.Of(bytes, (int)at + FrameHead, body) == BitConverter.ToUInt32(bytes, (int)at + 12);
        }

        private static void ReadBody(byte[] bytes, int at, int length, Contents found)
        {
            using (var reader = new BinaryReader(new MemoryStream(bytes, at, length, false)))
            {
                while (reader.BaseStream.Position < length)
                {
                    switch (reader.ReadByte())
                    {
                        case Record:
                            ulong key = reader.ReadUInt64();
                            found.Tables.Rows[key] = new StoreTables.Row
                            {
                                Kind = (RecordKind)reader.ReadByte(), Token = reader.ReadUInt64(), Owner = new Guid(reader.ReadBytes(16)),
                                Over = reader.ReadInt64(), Gone = reader.ReadInt64(), Data = reader.ReadBytes(reader.ReadInt32()),
                            };
                            break;
                        case User:
                            string user = reader.ReadString();
                            found.Tables.Users[user] = new StoreTables.Binding { Key = reader.ReadUInt64(), Until = reader.ReadInt64() };
                            break;
                        case End:
                            found.Whole = true;
                            break;
                        default:
                            throw new InvalidDataException("the store was written by a newer version");
                    }
                }
            }
        }

        private static bool Starts(byte[] bytes, long at, byte[] with)
        {
            return new ReadOnlySpan<byte>(bytes, (int)at, with.Length).SequenceEqual(with);
        }

        private static void Put32(byte[] bytes, int at, uint number)
        {
            for (int i = 0; i < 4; i++)
            {
                bytes[at + i] = (byte)(number >> (8 * i));
            }
        }
    }

    /// <summary>The CRC of Ethernet and zip.</summary>
    internal static class Crc32
    {
        private static readonly uint[] Table = Make();

        public static uint Of(byte[] bytes, int from, int count)
        {
            uint crc = uint.MaxValue;
            for (int i = from; i < from + count; i++)
            {
                crc = (crc >> 8) ^ Table[(byte)(crc ^ bytes[i])];
            }
            return ~crc;
        }

        private static uint[] Make()
        {
            var table = new uint[256];
            for (uint i = 0; i < table.Length; i++)
            {
                uint entry = i;
                for (int bit = 0; bit < 8; bit++)
                {
                    entry = (entry & 1) == 0 ? entry >> 1 : (entry >> 1) ^ 0xEDB88320;
                }
                table[i] = entry;
            }
            return table;
        }
    }
}
