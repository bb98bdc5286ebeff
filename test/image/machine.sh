# SPDX-License-Identifier: BSD-2-Clause
# Functions of run.sh: one machine of machines.txt, from power-on to TAP. Needs $BUILD and $work.
# Where the host is busy, CK_TIMEOUT_MULTIPLIER gives each machine that much more time, as it does
# for tests on the host.

source test/image/machine_monitor.sh
firmware=${OVMF:-/usr/share/ovmf/OVMF.fd}

# machine_field NAME INDEX: a column of machines.txt, from 1 on.
machine_field() {
	awk -F'|' -v name="$1" -v field="$2" '
		!/^#/ { gsub(/^[ \t]+|[ \t]+$/, "", $1) }
		$1 == name { gsub(/^[ \t]+|[ \t]+$/, "", $field); print $field }
	' test/image/machines.txt
}

# machine_is NAME WORD: whether the word stands behind the machine's check.
machine_is() {
	[[ " $(machine_field "$1" 2) " == *" $2 "* ]]
}

machine_is_large() {
	[[ $(machine_field "$1" 6) =~ -smp\ ([0-9]+) ]] && [ "${BASH_REMATCH[1]}" -gt 2 ]
}

# Media of their own, whose command line starts the tests, and disks with the numbered pages of the
# test pattern.
media_prepare() {
	local kind
	"$MAKE" --no-print-directory BUILD="$BUILD" "$BUILD/weir.efi" "$BUILD/weir_test.efi" "$BUILD/make_pattern" || return 1
	for kind in iso img; do
		boot/media.sh $kind "$BUILD/weir_test.efi" "$work/test.$kind" "test=all" || return 1
	done
	signed_prepare || return 1
	boot/media.sh iso "$BUILD/weir.efi" "$work/medium.iso" "" || return 1
	"$MAKE" --no-print-directory -j"$(nproc)" BUILD="$BUILD/debug" DEBUG=1 "$BUILD"/debug/{weir,weir_test}.efi || return 1
	# An image that does not wait long for a disk, and then leaves it alone, so that a slow one
	# has time to recover.
	"$MAKE" --no-print-directory -j"$(nproc)" BUILD="$BUILD/impatient" LIBRARY="$BUILD/image" \
		CONFIG="-DDRIVER_IO_TIMEOUT_MS=1000 -DPAGECACHE_RETRY_MS=120000" "$BUILD/impatient/weir_test.efi" || return 1
	for kind in faulty-virtio faulty-nvme stuck-virtio stuck-nvme blank; do
		rm -f "$work/$kind.img"
		truncate -s 16M "$work/$kind.img" || return 1
	done
	spcr_write
	"$BUILD/make_pattern" "$work/data.img" $((256 << 20)) 1 && "$BUILD/make_pattern" "$work/digitizer.img" $((64 << 20)) 2
}

# The table that says: the console is on COM2, at 9600 baud.
spcr_write() {
	printf '%b' '\0\0\0\0' '\x1\x8\0\x1\xf8\x2\0\0\0\0\0\0' '\x1\x3\0\0\0\0\x3\0\x1\0\0\0' '\xff\xff\xff\xff' \
		'\0\0\0\0\0\0\0\0\0\0\0\0' >"$work/spcr.bin"
}

# machine_boot_arguments BOOT OPTIONS: one argument a line.
machine_boot_arguments() {
	case $1 in
	efi | bare) printf '%s\n' -kernel "$BUILD/weir_test.efi" -append "$2" ;;
	debug | bare-debug) printf '%s\n' -kernel "$BUILD/debug/weir_test.efi" -append "$2" ;;
	impatient) printf '%s\n' -kernel "$BUILD/impatient/weir_test.efi" -append "$2" ;;
	weir) printf '%s\n' -kernel "$BUILD/weir.efi" -append "$2" ;;
	medium*) ;;
	cd) printf '%s\n' -cdrom "$work/test.iso" ;;
	usb)
		printf '%s\n' -device qemu-xhci -drive "if=none,id=stick,format=raw,snapshot=on,file=$work/test.iso" \
			-device usb-storage,drive=stick
		;;
	signed | unsigned) printf '%s\n' -cdrom "$work/$1.iso" ;;
	disk) printf '%s\n' -drive "format=raw,snapshot=on,file=$work/test.img" ;;
	esac
}

# Images that firmware with these test keys starts, and one that it refuses. The keys are those of
# Debian's package of OVMF, whose password everyone knows.
signed_prepare() {
	local keys=/usr/share/ovmf/PkKek-1-snakeoil
	openssl pkey -in $keys.key -passin pass:snakeoil -out "$work/snakeoil.key" &&
		"$MAKE" --no-print-directory BUILD="$BUILD" KEY="$work/snakeoil.key" CERT=$keys.pem "$BUILD"/{weir,weir_test}_signed.efi &&
		boot/media.sh iso "$BUILD/weir_signed.efi" "$work/medium-signed.iso" "" &&
		boot/media.sh iso "$BUILD/weir_test_signed.efi" "$work/signed.iso" "test=paging*" &&
		boot/media.sh iso "$BUILD/weir_test.efi" "$work/unsigned.iso" "test=paging*"
}

# machine_medium NAME BOOT OPTIONS: the ISO that a machine has as drive=medium. A debug image's is made
# for the machine, with its options.
machine_medium() {
	case $2 in
	medium-debug)
		boot/media.sh iso "$BUILD/debug/weir.efi" "$work/$1.iso" "$3" >"$work/$1.media" 2>&1
		echo "$work/$1.iso"
		;;
	medium-signed) echo "$work/medium-signed.iso" ;;
	*) echo "$work/medium.iso" ;;
	esac
}

# machine_firmware_arguments NAME BOOT: one argument a line.
machine_firmware_arguments() {
	local flash=if=pflash,format=raw
	case $2 in
	signed | unsigned | medium-signed)
		cp /usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd "$work/$1.vars"
		printf '%s\n' -drive $flash,unit=0,readonly=on,file=/usr/share/OVMF/OVMF_CODE_4M.secboot.fd \
			-drive "$flash,unit=1,file=$work/$1.vars" -global driver=cfi.pflash01,property=secure,value=on
		;;
	*) printf '%s\n' -bios "$firmware" ;;
	esac
}

# What the in-image tests know: two disks, whose changes go with the machine, the example device, and
# a card with memory that other devices can reach.
machine_device_arguments() {
	printf '%s\n' -drive "if=none,id=data,format=raw,snapshot=on,file=$work/data.img" -device virtio-blk-pci,drive=data \
		-drive "if=none,id=digitizer,format=raw,snapshot=on,file=$work/digitizer.img" \
		-device nvme,drive=digitizer,serial=digitizer -device edu \
		-object memory-backend-ram,id=card,size=16M,share=on -device ivshmem-plain,memdev=card
}

# More functions than one bus has room for: small ones, behind two bridges.
machine_many_functions() {
	local bridge slot number
	for bridge in 1 2; do
		printf -- '-device pci-bridge,id=many%d,chassis_nr=%d,shpc=off ' $bridge $bridge
		for slot in $(seq $((bridge == 1 ? 31 : 4))); do
			for number in {0..7}; do
				printf -- '-device pvpanic-pci,bus=many%d,addr=%x.%d,multifunction=on ' $bridge "$slot" "$number"
			done
		done
	done
}

# The TAP that a machine printed, its lines named after the machine; a plan that was not kept is a
# failure.
machine_tap() { # NAME STATUS
	tr -d '\r' <"$work/$1.serial" | awk -v name="$1" -v status="$2" '
		/^1\.\.[0-9]+$/ { planned = substr($0, 4); next }
		/^(not )?ok [0-9]+/ {
			seen++
			failed += /^not /
			match($0, /^(not )?ok [0-9]+( - )?/)
			line = substr($0, RLENGTH + 1)
			print (/^not / ? "not ok" : "ok") " - " name ": " line
			if (/^not /)
				printf "%s", notes
			notes = ""
			next
		}
		/^#/ { notes = notes $0 "\n" } # a test explains itself before its result
		END {
			if (planned == "" || planned != seen + 0)
				printf "not ok - %s: %d of %s tests were run, and it ended with status %d%s\n", name, seen,
					planned == "" ? "?" : planned, status, status == 124 ? ", stopped" : ""
			else if (status != 0 && !failed)
				printf "not ok - %s: ended with status %d\n", name, status
		}'
}

machine_status() { # NAME STATUS
	if [ "$2" -eq 0 ]; then echo "ok - $1"; else echo "not ok - $1: ended with status $2"; fi
}

# QEMU's isa-debug-exit makes odd statuses; 124 is a timeout. A frame of the backtrace names a
# function and an offset in it.
machine_fault() { # NAME STATUS
	local frames
	frames=$(tr -d '\r' <"$work/$1.serial" | grep -cE '[A-Za-z_][A-Za-z0-9_]*\+0x[0-9a-f]+')
	if [ $(($2 % 2)) -eq 0 ] || [ "$2" -eq 1 ]; then
		echo "not ok - $1: ended with status $2"
	elif [ "$frames" -lt 2 ]; then
		echo "not ok - $1: no backtrace with names"
	else
		echo "ok - $1"
	fi
}

machine_explained() { # NAME STATUS
	local fault pattern='object of 96 bytes of heap general.*; allocated by object_make\+0x'
	fault=$(machine_fault "$1" "$2")
	[[ $1 != *freed ]] || pattern+='[0-9a-f]+; freed by object_destroy\+0x'
	if [[ $fault == ok* ]] && ! tr -d '\r' <"$work/$1.serial" | grep -qE "^panic: page fault.*$pattern"; then
		echo "not ok - $1: the report does not name who allocated and freed the object"
	else
		echo "$fault"
	fi
}

machine_vector() { # NAME STATUS
	local fault where='in task general, which'
	fault=$(machine_fault "$1" "$2")
	[[ $1 != *handler ]] || where='in an interrupt handler or timer callback:'
	if [[ $fault == ok* ]] && ! tr -d '\r' <"$work/$1.serial" |
		grep -qE "^panic: vector .* in fault_sample_copy, $where.*\.vector = true"; then
		echo "not ok - $1: the report does not name the function, where it ran, and the cure"
	else
		echo "$fault"
	fi
}

machine_has_said() { # NAME TEXT
	tr -d '\r' <"$work/$1.serial" | grep -qE -- "$2"
}

# The check of what it says is machine_run's, for each machine.
machine_says() { # NAME STATUS
	echo "ok - $1"
}

# machine_wait PID NAME TEXT: until the machine has ended, or said the text, if there is one; then
# ends it. Returns its status.
machine_wait() {
	while [ -n "$3" ] && kill -0 "$1" 2>/dev/null; do
		if machine_has_said "$2" "$3"; then kill "$1"; fi
		sleep 1
	done
	wait "$1"
}

# Sets $arguments: QEMU's, all but the serial port.
machine_arguments() { # NAME
	local check boot options firmware_arguments=() boot_arguments device_arguments=()
	read -r check _ <<<"$(machine_field "$1" 2)"
	boot=$(machine_field "$1" 4)
	options=$(machine_field "$1" 5)
	[ "$check" != monitor ] || options="scenario=boot monitor=1 $options"
	read -ra arguments <<<"$(machine_field "$1" 6)"
	arguments=("${arguments[@]//@work@/$work}")
	if [[ " ${arguments[*]} " == *" @many@ "* ]]; then
		read -ra arguments <<<"${arguments[*]/@many@/$(machine_many_functions)}"
	fi
	mapfile -t boot_arguments < <(machine_boot_arguments "$boot" "$options")
	if [ "$check" = monitor ]; then
		mapfile -t device_arguments < <(machine_drive_arguments "$(machine_medium "$1" "$boot" "$options")")
	elif [[ $boot != bare* ]]; then
		mapfile -t device_arguments < <(machine_device_arguments)
	fi
	[[ " ${arguments[*]} " == *if=pflash* ]] || mapfile -t firmware_arguments < <(machine_firmware_arguments "$1" "$boot")
	# A reset ends the run where the report shows it; without a report it must not look like success.
	[ "$check" = status ] || [ "$check" = monitor ] || arguments+=(-no-reboot)
	# The monitor's poweroff has to do as it does on a user's machine.
	[ "$check" = monitor ] || arguments+=(-device "isa-debug-exit,iobase=0xf4,iosize=0x04")
	arguments+=(-accel tcg -display none -net none -monitor none "${firmware_arguments[@]}" "${boot_arguments[@]}" "${device_arguments[@]}")
}

# The QEMU that the machine wants, if it is here: what is installed, or QEMU 10 (boot/qemu10.sh).
machine_qemu() { # NAME
	local qemu=qemu-system-x86_64
	if [ "${QEMU:-}" = 10 ] || machine_is "$1" qemu10; then qemu=$BUILD/qemu10/$qemu; fi
	command -v "$qemu"
}

machine_run() { # NAME
	local name=$1 qemu check seconds says text= status results arguments
	rm -f "$work/$name".{serial,qemu,tap}
	touch "$work/$name.serial"
	qemu=$(machine_qemu "$name") || {
		echo "# skipped - $name: QEMU 10 is not here; \`boot/qemu10.sh $BUILD/qemu10\` gets it, or says why not" | tee "$work/$name.tap"
		return
	}
	read -r check _ <<<"$(machine_field "$name" 2)"
	seconds=$(($(machine_field "$name" 3) * ${CK_TIMEOUT_MULTIPLIER:-1}))
	says=$(machine_field "$name" 7)
	[ "$check" != says ] || text=$says
	machine_arguments "$name"
	if [ "$check" = monitor ]; then
		machine_talk "$name" timeout "$seconds" "$qemu" "${arguments[@]}"
	else
		[[ " ${arguments[*]} " == *" -serial "* ]] || arguments+=(-serial "file:$work/$name.serial")
		timeout "$seconds" "$qemu" "${arguments[@]}" >"$work/$name.qemu" 2>&1 </dev/null &
		machine_wait $! "$name" "$text"
	fi
	status=$?
	results=$("machine_$check" "$name" $status)
	if [ -n "$says" ] && ! machine_has_said "$name" "$says"; then
		results+=$'\n'"not ok - $name: it does not say \"$says\""
	fi
	if grep -q '^not ok' <<<"$results"; then
		results+=$'\n'$(tr -d '\r' <"$work/$name.serial" | tail -40 | cat "$work/$name.qemu" - | sed "s/^/#   /")
	fi
	printf '%s\n' "$results" | tee "$work/$name.tap"
}
