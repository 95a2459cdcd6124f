using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;
using NUnit.Framework;

namespace Unbroken.Tests
{
    /// <summary>The C# declarations beside the header: names and parameters of functions, layouts, and constants. What C says of the layout comes
    /// from the program that tests/c/layout.awk makes of the header; UNBROKEN_LAYOUT has its output.</summary>
    [TestFixture]
    public class AbiTests
    {
        private static readonly Assembly Core = typeof(UnbrokenSession).Assembly;

        /// <summary>Functions that C# has no use for: those for endpoints in several threads, each with a share of the sessions.</summary>
        private static readonly string[] Unused =
        {
            "unbroken_route", "unbroken_route_among",
            // What its server does not offer of stores: messages from other servers, users, moving to another server on purpose.
            "unbroken_endpoint_event_user", "unbroken_endpoint_session_bind_user", "unbroken_endpoint_session_has_room",
            "unbroken_endpoint_session_recv_mail", "unbroken_endpoint_session_swap_out",
            "unbroken_endpoint_store_is_up", "unbroken_endpoint_turn_away", "unbroken_mail_note",
        };

        /// <summary>Prefixes of constants, and the enum that has them.</summary>
        private static readonly Dictionary<string, Type> Enums = new Dictionary<string, Type>
        {
            { "EVENT", typeof(EventKind) }, { "STATE", typeof(SessionState) }, { "CAUSE", typeof(HandoverCause) },
            { "FAIL", typeof(HandoverFailure) }, { "CLOSE", typeof(CloseReason) }, { "OUTPUT", typeof(OutputKind) },
            { "NETWORK", typeof(NetworkEvent) }, { "HEALTH", typeof(LinkCondition) }, { "DURABILITY", typeof(Durability) }, { "STORE", typeof(Native.StoreOp) },
            { "RECORD", typeof(Native.RecordKind) }, { "REPLY", typeof(Native.ReplyKind) },
        };

        private static MethodInfo[] Imports()
        {
            Type library = Core.GetType("Unbroken.Native.Library", true);
            return library.GetMethods(BindingFlags.Static | BindingFlags.Public)
                .Where(method => method.GetCustomAttribute<DllImportAttribute>() != null).ToArray();
        }

        /// <summary>The header's functions, and the C types of what they return and take. Those under UNBROKEN_TESTING are not shipped.</summary>
        private static Dictionary<string, string[]> Prototypes()
        {
            string header = File.ReadAllText(Path.Combine(Environment.GetEnvironmentVariable("UNBROKEN_ROOT"), "include/unbroken.h"));
            header = Regex.Replace(header, @"#if defined\(UNBROKEN_TESTING\).*?#endif", "", RegexOptions.Singleline);
            header = Regex.Replace(header, @"/\*.*?\*/", "", RegexOptions.Singleline);
            var found = new Dictionary<string, string[]>();
            foreach (Match match in Regex.Matches(header, @"UNBROKEN_API\s+([\w\s]+?[\s\*]+)(unbroken_\w+)\(([^)]*)\);"))
            {
                var types = new List<string> { Plain(match.Groups[1].Value) };
                foreach (string parameter in match.Groups[3].Value.Split(','))
                {
                    if (parameter.Trim() != "void")
                    {
                        types.Add(Plain(Regex.Replace(parameter.Trim(), @"\w+$", "")));
                    }
                }
                found.Add(match.Groups[2].Value, types.ToArray());
            }
            return found;
        }

        private static string Plain(string type)
        {
            return Regex.Replace(Regex.Replace(type, @"\b(const|struct)\b", ""), @"\s+", "");
        }

        /// <summary>What C calls a C# type of a declaration.</summary>
        private static string InC(Type type)
        {
            if (type.IsPointer)
            {
                Type to = type.GetElementType();
                return (to == typeof(IntPtr) ? "HANDLE*" : InC(to)) + "*";
            }
            switch (type.Name)
            {
                case "Int32": return "int32_t";
                case "UInt32": return "uint32_t";
                case "UInt64": return "uint64_t";
                case "Int64": return "int64_t";
                case "Byte": return "uint8_t";
                case "UInt16": return "uint16_t";
                case "UIntPtr": return "size_t";
                case "IntPtr": return "HANDLE*";
                case "SessionHandle": return "unbroken_session*";
                case "EndpointHandle": return "unbroken_endpoint*";
                case "LoopbackHandle": return "unbroken_loopback*";
                default: return "unbroken_" + Snake(type.Name);
            }
        }

        private static string Snake(string name)
        {
            return Regex.Replace(name, "(?<!^)([A-Z])", "_$1").ToLowerInvariant();
        }

        [Test]
        public void Every_function_of_the_header_is_declared_and_nothing_else()
        {
            var header = Prototypes().Keys.Except(Unused).OrderBy(name => name, StringComparer.Ordinal).ToArray();
            var declared = Imports().Select(method => method.Name).OrderBy(name => name, StringComparer.Ordinal).ToArray();
            Assert.Greater(header.Length, 50);
            CollectionAssert.AreEqual(header, declared);
        }

        [Test]
        public void Every_function_takes_and_returns_what_the_header_says()
        {
            Dictionary<string, string[]> header = Prototypes();
            foreach (MethodInfo method in Imports())
            {
                string[] types = new[] { method.ReturnType }.Concat(method.GetParameters().Select(one => one.ParameterType)).Select(InC)
                    .ToArray();
                string[] wanted = header[method.Name];
                // A handle that is made or freed is a bare pointer in C#, and text is bytes.
                for (int i = 0; i < wanted.Length && i < types.Length; i++)
                {
                    if (types[i].StartsWith("HANDLE") && Regex.IsMatch(wanted[i], @"^unbroken_(session|endpoint|loopback)\*+$"))
                    {
                        Assert.AreEqual(wanted[i].Count(c => c == '*'), types[i].Count(c => c == '*'), method.Name);
                        types[i] = wanted[i];
                    }
                    if (wanted[i] == "char*")
                    {
                        wanted[i] = "uint8_t*";
                    }
                }
                Assert.AreEqual(string.Join(", ", wanted), string.Join(", ", types), method.Name);
                Assert.AreEqual(
                    CallingConvention.Cdecl, method.GetCustomAttribute<DllImportAttribute>().CallingConvention, method.Name);
            }
        }

        private static Dictionary<string, string> Layout()
        {
            return File.ReadAllLines(Environment.GetEnvironmentVariable("UNBROKEN_LAYOUT"))
                .Select(line => Regex.Match(line, @"^(\S+?)(?::| =) (.*)$"))
                .ToDictionary(match => match.Groups[1].Value, match => match.Groups[2].Value);
        }

        [Test]
        public void Every_struct_is_laid_out_as_in_C()
        {
            var wanted = Layout()
                .Where(line => line.Value.EndsWith("bytes"))
                .ToDictionary(line => line.Key, line => line.Value);
            var found = new Dictionary<string, string>();
            foreach (string name in wanted.Keys.Where(key => !key.Contains(".")))
            {
                string pascal = string.Concat(name.Substring("unbroken_".Length).Split('_').Select(Pascal));
                Type type = Core.GetType("Unbroken.Native." + pascal) ?? Core.GetType("Unbroken." + pascal);
                Assert.IsNotNull(type, name);
                Assert.IsTrue(type.IsValueType && type.IsLayoutSequential, name);
                found[name] = Marshal.SizeOf(type) + " bytes";
                FieldInfo[] fields = type.GetFields(BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic);
                foreach (FieldInfo field in fields)
                {
                    found[name + "." + Snake(field.Name)] = "at " + Marshal.OffsetOf(type, field.Name) + ", " + SizeOf(field) + " bytes";
                }
            }
            Assert.Greater(found.Count, 100);
            CollectionAssert.AreEquivalent(wanted.Select(one => one.Key + ": " + one.Value), found.Select(one => one.Key + ": " + one.Value));
        }

        private static int SizeOf(FieldInfo field)
        {
            var many = field.GetCustomAttribute<System.Runtime.CompilerServices.FixedBufferAttribute>();
            if (many != null)
            {
                return many.Length * Marshal.SizeOf(many.ElementType);
            }
            return field.FieldType.IsPointer ? IntPtr.Size : Marshal.SizeOf(field.FieldType);
        }

        private static string Pascal(string word)
        {
            return word.Length == 0 ? "" : char.ToUpperInvariant(word[0]) + word.Substring(1).ToLowerInvariant();
        }

        [Test]
        public void Every_constant_has_its_number()
        {
            var wanted = Layout()
                .Where(line => !line.Value.EndsWith("bytes"))
                .ToDictionary(line => line.Key, line => line.Value);
            Assert.Greater(wanted.Count, 70);
            var left = new HashSet<string>(Enums.Values.Concat(new[] { typeof(Status) }).SelectMany(
                type => Enum.GetNames(type).Select(name => type.Name + "." + name)));
            Type library = Core.GetType("Unbroken.Native.Library", true);
            foreach (KeyValuePair<string, string> constant in wanted)
            {
                string[] words = constant.Key.Split('_').Skip(1).ToArray();
                Type type;
                long number;
                if (Enums.TryGetValue(words[0], out type) || words[0] == "ERR" || words.Length == 1)
                {
                    string name = string.Concat((type == null ? words : words.Skip(1)).Select(Pascal));
                    type = type ?? typeof(Status);
                    number = (int)Enum.Parse(type, name);
                    left.Remove(type.Name + "." + name);
                }
                else
                {
                    FieldInfo field = library.GetField(string.Concat(words.Select(Pascal)), BindingFlags.Static | BindingFlags.Public);
                    Assert.IsNotNull(field, constant.Key);
                    number = (uint)field.GetRawConstantValue();
                }
                Assert.AreEqual(constant.Value, number.ToString(), constant.Key);
            }
            CollectionAssert.IsEmpty(left);
        }

        [Test]
        public void Nothing_that_crosses_the_border_must_be_converted()
        {
            foreach (MethodInfo method in Imports())
            {
                foreach (Type type in method.GetParameters().Select(one => one.ParameterType).Concat(new[] { method.ReturnType }))
                {
                    Assert.IsTrue(type.IsPointer || type.IsPrimitive || typeof(SafeHandle).IsAssignableFrom(type), method.Name + ": " + type);
                }
            }
        }
    }
}
