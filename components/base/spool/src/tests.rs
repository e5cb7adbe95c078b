mod crash;
mod damage;
mod disk;
mod durable;
mod model;
