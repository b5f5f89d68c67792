/* Both files for a kernel without kernel TLS, in one process: starting one takes an emulated processor half a minute. */
import '../fallback/ordinary.no-ktls'
import '../fallback/doctor.no-ktls'
