package org.medipeps

import java.io.File
import java.io.PrintWriter
import java.io.StringWriter
import java.util.spi.ToolProvider
import org.junit.jupiter.api.Assertions.assertEquals
import org.junit.jupiter.api.Test

/** `api.txt` has what this module offers, as the Java class file tool tells it; MEDIPEPS_WRITE_API=1 renews it. */
class ApiTest {
    @Test
    fun theApiIsTheOneInApiTxt() {
        val snapshot = File("api.txt")
        val offered = offered()
        if (System.getenv("MEDIPEPS_WRITE_API") != null) snapshot.writeText(offered)
        assertEquals(snapshot.readText(), offered, "the API has changed; if that is meant: MEDIPEPS_WRITE_API=1")
    }

    private fun offered(): String {
        val classes = File(Client::class.java.protectionDomain.codeSource.location.toURI())
        val files = File(classes, "org/medipeps").listFiles { file -> isPublicApi(file.nameWithoutExtension) }!!
        val said = StringWriter()
        val words = listOf("-public") + files.map { it.path }.sorted()
        val javap = ToolProvider.findFirst("javap").orElseThrow()
        check(javap.run(PrintWriter(said), PrintWriter(System.err), *words.toTypedArray()) == 0)
        val lines = said.toString().lines().filterNot { line -> NOISE.containsMatchIn(line) || line.startsWith("Compiled") }
        val text = lines.joinToString("\n").replace(Regex("public .*\\{\n\\}\n"), "")
        return text.replace("java.lang.", "").replace("org.medipeps.", "").replace("kotlin.coroutines.", "")
    }

    private companion object {
        /** What UniFFI has for itself, although Kotlin's class files call it public. */
        val INTERNAL = Regex("^(Uniffi|uniffi|FfiConverter|RustBuffer|ForeignBytes|Rust|JavaLang|Integrity|Internal|Ffi|MedipepsKt|NoHandle|NoPointer|Disposable)|Uniffi|\\$\\d|WhenMappings|CallStatus|Kt\\$|ErrorHandler|Handle")
        /** What every data class has, and what the compiler adds. */
        val NOISE = Regex("component\\d+|copy\\$|equals\\(|hashCode\\(|toString\\(|\\\$default|uniffi|Uniffi|DefaultConstructorMarker| copy\\(|static .*(values|valueOf|getEntries)\\(|Companion;$")

        fun isPublicApi(name: String) = !INTERNAL.containsMatchIn(name)
    }
}
