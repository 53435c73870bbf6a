//! The LED (port F, pin 0), the temperature sensor (an input of the ADC) and the flash of the lm3s6965.

/// Enables the clocks of both, and sets the pin to output.
pub fn set_up() {
    write(RCGC0, read(RCGC0) | ADC_CLOCK);
    write(RCGC1, read(RCGC1) | TIMER_0_CLOCK);
    write(RCGC2, read(RCGC2) | PORT_F_CLOCK);
    write(PORT_F + GPIO_DIRECTION, LED);
    write(PORT_F + GPIO_DIGITAL, LED);
    // Sequencer 3 takes one sample of the sensor when the timer fires: the emulated converter
    // supports no other trigger.
    write(ADC + ADC_ACTIVE, 0);
    write(ADC + ADC_TRIGGER, ADC_BY_TIMER << 12);
    write(ADC + ADC_CONTROL_3, ADC_SENSOR | ADC_INTERRUPT | ADC_END);
    write(ADC + ADC_ACTIVE, SEQUENCER_3);
    write(TIMER_0 + TIMER_MODE, TIMER_ONE_SHOT);
    write(TIMER_0 + TIMER_LOAD, TICKS);
}

/// Switches the LED.
pub fn light(on: bool) {
    // Address bits 2 to 9 of the data register mask the pins that a write reaches.
    write(PORT_F + (LED << 2), if on { LED } else { 0 });
}

/// Returns tenths of a degree Celsius; `None` if the converter does not answer, or if the sensor
/// reads less than 0 degrees, which is below the range of this board.
pub fn temperature() -> Option<u32> {
    write(ADC + ADC_CLEAR, SEQUENCER_3);
    write(TIMER_0 + TIMER_CONTROL, TIMER_ENABLE | TIMER_TRIGGERS_ADC);
    // A conversion takes some microseconds; this many polls take a good part of a second.
    (0..1_000_000).find(|_| read(ADC + ADC_RAW_STATUS) & SEQUENCER_3 != 0)?;
    let sample = read(ADC + ADC_FIFO_3) & 0x3FF;
    // LM3S6965 data sheet, "Internal Temperature Sensor": 147.5 - 225 * sample / 1023.
    1475u32.checked_sub(2250 * sample / 1023)
}

/// One page of the flash: the smallest unit that can be erased.
#[derive(Clone, Copy)]
pub struct Page {
    /// Its address.
    pub address: u32,
    /// Number of words that are not erased: at least one of their bits is not 1.
    pub used: u32,
    /// Sum of its words.
    pub sum: u32,
}

/// Returns all pages. Each is read when the iterator reaches it.
pub fn flash() -> impl Iterator<Item = Page> {
    (0..FLASH).step_by(PAGE as usize).map(|address| {
        let words = (address..address + PAGE).step_by(4).map(read);
        words.fold(Page { address, used: 0, sum: 0 }, |page, word| Page {
            used: page.used + u32::from(word != u32::MAX),
            sum: page.sum.wrapping_add(word),
            ..page
        })
    })
}

fn read(address: u32) -> u32 {
    // SAFETY: the address is that of a word of the flash, which no code writes, or of one of the
    // registers below. It is aligned, and not part of a Rust object that changes.
    unsafe { (address as usize as *const u32).read_volatile() }
}

fn write(address: u32, value: u32) {
    // SAFETY: as in `read`; none of them makes the peripheral access memory by itself.
    unsafe { (address as usize as *mut u32).write_volatile(value) }
}

// Flash.
const FLASH: u32 = 256 * 1024;
const PAGE: u32 = 1024;

// System control.
const RCGC0: u32 = 0x400F_E100;
const RCGC1: u32 = 0x400F_E104;
const RCGC2: u32 = 0x400F_E108;
const ADC_CLOCK: u32 = 1 << 16;
const TIMER_0_CLOCK: u32 = 1 << 16;
const PORT_F_CLOCK: u32 = 1 << 5;

// Port F.
const PORT_F: u32 = 0x4002_5000;
const GPIO_DIRECTION: u32 = 0x400;
const GPIO_DIGITAL: u32 = 0x51C;
const LED: u32 = 1 << 0;

// Analog-to-digital converter.
const ADC: u32 = 0x4003_8000;
const ADC_ACTIVE: u32 = 0x00;
const ADC_RAW_STATUS: u32 = 0x04;
const ADC_CLEAR: u32 = 0x0C;
const ADC_TRIGGER: u32 = 0x14;
const ADC_CONTROL_3: u32 = 0xA4;
const ADC_FIFO_3: u32 = 0xA8;
const SEQUENCER_3: u32 = 1 << 3;
const ADC_BY_TIMER: u32 = 5;
const ADC_SENSOR: u32 = 1 << 3;
const ADC_INTERRUPT: u32 = 1 << 2;
const ADC_END: u32 = 1 << 1;

// General-purpose timer 0, as one of 32 bits.
const TIMER_0: u32 = 0x4003_0000;
const TIMER_MODE: u32 = 0x04;
const TIMER_CONTROL: u32 = 0x0C;
const TIMER_LOAD: u32 = 0x28;
const TIMER_ONE_SHOT: u32 = 1;
const TIMER_ENABLE: u32 = 1 << 0;
const TIMER_TRIGGERS_ADC: u32 = 1 << 5;
/// Ten microseconds at the clock after reset.
const TICKS: u32 = 125;
