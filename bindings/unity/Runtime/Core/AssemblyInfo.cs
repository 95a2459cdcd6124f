using System.Runtime.CompilerServices;

// The declarations of the native layer are compared with the header.
[assembly: InternalsVisibleTo("Unbroken.Tests")]
