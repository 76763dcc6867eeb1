; Boot sector of the test VMs. Assembled once per VM: nasm -f bin -DNAME="'cards2'" -DUUID="'...'" boot.asm
;
; Greets with the VM's name on the serial port and on the text screen, so that a test sees which VM it was given; then echoes
; each serial byte (CR as CRLF) and each key (on the screen). '?' on the serial port greets again; 'F' floods until the next
; byte, for tests of a client that does not read. Halts between interrupts: many VMs share few cores.

        bits 16
        org 0x7c00

COM1    equ 0x3f8
RX_TX   equ COM1
IER     equ COM1+1
IIR_FCR equ COM1+2
LCR     equ COM1+3
MCR     equ COM1+4
LSR     equ COM1+5

start:  jmp 0:entry
entry:  xor ax, ax
        mov ds, ax
        mov ss, ax
        mov sp, 0x7c00
        cld

        mov ax, 3                       ; text mode, clears the screen
        int 0x10
        mov ah, 1                       ; no cursor: it would blink, and two pictures of one screen would differ
        mov cx, 0x2000
        int 0x10

        cli
        mov word [0x0c*4], serial_irq   ; IRQ 4
        mov word [0x0c*4+2], 0
        mov dx, LCR
        mov al, 0x83                    ; 8n1, divisor latch
        out dx, al
        mov dx, RX_TX
        mov al, 1                       ; 115200 baud
        out dx, al
        mov dx, IER
        xor al, al
        out dx, al
        mov dx, LCR
        mov al, 3
        out dx, al
        mov dx, IIR_FCR
        mov al, 7                       ; fifo on and empty
        out dx, al
        mov dx, MCR
        mov al, 0x0b                    ; DTR, RTS, interrupts reach the controller
        out dx, al
        mov dx, IER
        mov al, 3                       ; received, and transmitter empty
        out dx, al
        in al, 0x21
        and al, 0xef                    ; unmask IRQ 4
        out 0x21, al
        sti

        mov si, greeting
        call screen
        mov si, identity
        call screen
greet:  mov si, greeting
        call send_text

main:   mov ah, 1                       ; a key?
        int 0x16
        jz .serial
        xor ah, ah
        int 0x16
        call show
.serial:
        cli
        call received
        jnz .byte
        call settle
        sti                             ; takes effect after hlt has begun: no interrupt falls in between
        hlt
        jmp main
.byte:  sti
        mov dx, RX_TX
        in al, dx
        cmp al, '?'
        je greet
        cmp al, 'F'
        je flood
        call send
        cmp al, 13
        jne main
        mov al, 10
        call send
        jmp main

; Lines of the alphabet, so that a lost or doubled byte shows.
flood:  mov al, 'a'
.next:  call send
        call received
        jnz .stop
        inc al
        cmp al, 'z'+1
        jne .next
        mov al, 13
        call send
        mov al, 10
        call send
        jmp flood
.stop:  mov dx, RX_TX
        in al, dx
        mov si, crlf
        call send_text
        jmp main

; nz when a byte has come
received:
        push ax
        mov dx, LSR
        in al, dx
        test al, 1
        pop ax
        ret

; Reading the identification clears "transmitter empty"; left pending it would hide the next byte's edge.
settle: push ax
        mov dx, IIR_FCR
        in al, dx
        pop ax
        ret

; Sends al. A byte that comes meanwhile may hide the edge; the timer's tick ends the halt then.
send:   push ax
.wait:  cli
        mov dx, LSR
        in al, dx
        test al, 0x20
        jnz .free
        call settle
        sti
        hlt
        jmp .wait
.free:  sti
        pop ax
        mov dx, RX_TX
        out dx, al
        ret

send_text:
        lodsb
        test al, al
        jz .end
        call send
        jmp send_text
.end:   ret

show:   mov ah, 0x0e
        mov bx, 7
        int 0x10
        ret

screen: lodsb
        test al, al
        jz .end
        call show
        jmp screen
.end:   ret

serial_irq:
        push ax
        mov al, 0x20
        out 0x20, al
        pop ax
        iret

greeting: db 'virtgate guest ', NAME, ' ready'
crlf:   db 13, 10, 0
identity: db UUID, 13, 10, 0

        times 510-($-$$) db 0
        dw 0xaa55
