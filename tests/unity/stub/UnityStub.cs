// A STUB, not Unity: as much of the engine's and the editor's public API as this package uses, so that its thin layer compiles and its logic
// runs without them. It shows that the code is well formed against these signatures; it does not show what the engine does.
using System;

namespace UnityEngine
{
    public enum NetworkReachability { NotReachable, ReachableViaCarrierDataNetwork, ReachableViaLocalAreaNetwork }
    public enum RuntimeInitializeLoadType { AfterSceneLoad, BeforeSceneLoad, AfterAssembliesLoaded, BeforeSplashScreen, SubsystemRegistration }
    public enum EventType { MouseDown, MouseUp, MouseMove, MouseDrag }

    [AttributeUsage(AttributeTargets.Method)]
    public sealed class RuntimeInitializeOnLoadMethodAttribute : Attribute
    {
        public RuntimeInitializeOnLoadMethodAttribute(RuntimeInitializeLoadType loadType) { }
    }

    public sealed class AddComponentMenu : Attribute
    {
        public AddComponentMenu(string menuName) { }
    }

    public sealed class DisallowMultipleComponent : Attribute { }

    public sealed class DefaultExecutionOrder : Attribute
    {
        public DefaultExecutionOrder(int order) { }
    }

    public sealed class RequireComponent : Attribute
    {
        public RequireComponent(Type requiredComponent) { }
    }

    public class Object { }

    public class Component : Object
    {
        public T GetComponent<T>() { throw new NotSupportedException("this is a stub"); }
    }

    public class Behaviour : Component { }

    public class MonoBehaviour : Behaviour { }

    public static class Application
    {
        public static NetworkReachability internetReachability { get; set; }
        public static bool runInBackground { get; set; }
        public static event Action quitting;

        // Only here: what the engine does when the game ends.
        public static void StubQuit()
        {
            if (quitting != null)
            {
                quitting();
            }
        }
    }

    public static class Debug
    {
        public static void Log(object message) { }
    }

    public static class Time
    {
        public static float realtimeSinceStartup { get; set; }
    }

    public struct Vector2
    {
        public float x, y;
    }

    public struct Rect
    {
        public Rect(float x, float y, float width, float height) { }
        public bool Contains(Vector2 point) { return false; }
    }

    public struct Color
    {
        public static Color green { get { return default(Color); } }
        public static Color white { get { return default(Color); } }
    }

    public class Texture : Object { }

    public class Texture2D : Texture
    {
        public static Texture2D whiteTexture { get { return null; } }
    }

    public static class Mathf
    {
        public static float Max(float a, float b) { return Math.Max(a, b); }
    }

    public sealed class Event
    {
        public static Event current { get { return null; } }
        public EventType type { get; set; }
        public Vector2 mousePosition { get; set; }
    }

    public static class GUI
    {
        public static Color color { get; set; }
        public static void Label(Rect position, string text) { }
        public static void Box(Rect position, string text) { }
        public static bool Button(Rect position, string text) { return false; }
        public static string TextField(Rect position, string text) { return text; }
        public static void DrawTexture(Rect position, Texture image) { }
    }
}

namespace UnityEditor
{
    public enum PlayModeStateChange { EnteredEditMode, ExitingEditMode, EnteredPlayMode, ExitingPlayMode }

    public sealed class InitializeOnLoadAttribute : Attribute { }

    public static class AssemblyReloadEvents
    {
        public delegate void AssemblyReloadCallback();
        public static event AssemblyReloadCallback beforeAssemblyReload;

        // Only here: what the editor does before it unloads scripts.
        public static void StubReload()
        {
            if (beforeAssemblyReload != null)
            {
                beforeAssemblyReload();
            }
        }
    }

    public static class EditorApplication
    {
        public static event Action<PlayModeStateChange> playModeStateChanged;

        public static void StubChange(PlayModeStateChange change)
        {
            if (playModeStateChanged != null)
            {
                playModeStateChanged(change);
            }
        }
    }
}
